//! Every notation of an address that may not be called, and what each rule of the allow list opens.

use std::net::IpAddr;

use super::*;

fn opening(rules: &[&str]) -> OutboundGuard {
    let allow = rules.iter().map(|rule| rule.parse().unwrap()).collect();
    OutboundGuard { allow_private: false, allow }
}

const PRIVATE: [&str; 27] = [
    "http://127.0.0.1/",
    "http://localhost:8080/x",
    "http://LOCALHOST./",
    "http://a.localhost/",
    "http://printer.local/",
    "http://build.internal/",
    "http://nas.home.arpa/",
    "http://0x7f.1/",
    "http://2130706433/",
    "http://0177.0.0.1/",
    "http://127.1/",
    "http://0.0.0.0/",
    "http://10.1.2.3/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://198.18.0.1/",
    "http://[::1]/",
    "http://[::]/",
    "http://[fd00::1]/",
    "http://[fe80::1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[2001:db8::1]/",
    "http://[3fff::1]/",
    "http://255.255.255.255/",
    "http://224.0.0.1/",
];
const METADATA: [&str; 8] = [
    "http://169.254.169.254/latest",
    "http://0xa9fea9fe/",
    "http://[::ffff:169.254.169.254]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[fd00:ec2::254]/",
    "http://100.100.100.200/",
    "http://168.63.129.16/",
    "http://Metadata.Google.Internal./",
];

#[test]
fn every_notation_of_an_inside_address_is_refused_until_private_ones_are_allowed() {
    let guard = OutboundGuard::default();
    for url in PRIVATE {
        assert!(matches!(guard.check_url(url), Err(OutboundError::Private(_))), "{url}");
        assert!(OutboundGuard::private(true).check_url(url).is_ok(), "{url}");
    }
}

#[test]
fn where_a_machine_gets_its_credentials_is_opened_by_name_only() {
    for guard in [OutboundGuard::default(), OutboundGuard::private(true)] {
        for url in METADATA {
            assert!(matches!(guard.check_url(url), Err(OutboundError::Metadata(_))), "{url}");
        }
    }
    assert!(opening(&["169.254.169.254"]).check_url(METADATA[0]).is_ok());
    assert!(opening(&["metadata.google.internal"]).check_url(METADATA[7]).is_ok());
}

#[test]
fn public_addresses_pass_and_nonsense_is_named() {
    let guard = OutboundGuard::default();
    for url in [
        "https://api.example.com/x?y=1",
        "http://8.8.8.8/",
        "http://[2606:4700::1111]/",
        "http://notlocal/",
        "http://mylocalhost.example/",
    ] {
        assert!(guard.check_url(url).is_ok(), "{url}");
    }
    assert!(matches!(guard.check_url("file:///etc/passwd"), Err(OutboundError::Scheme(_))));
    assert!(matches!(guard.check_url("api.example.com/x"), Err(OutboundError::NotAUrl(_))));
    assert!(matches!(guard.check_url("http://"), Err(OutboundError::NotAUrl(_))));
}

#[test]
fn credentials_in_a_url_are_refused_and_not_told() {
    for guard in [OutboundGuard::default(), OutboundGuard::private(true)] {
        for url in [
            "https://me:hunter2@example.com/",
            "https://hunter2@example.com/",
            "http://:hunter2@8.8.8.8/",
        ] {
            let error = guard.check_url(url).unwrap_err();
            assert!(matches!(error, OutboundError::Credentials(_)), "{url}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}

#[test]
fn a_rule_opens_exactly_what_it_names() {
    let cases: [(&str, &[&str], &[&str]); 7] = [
        (
            "127.0.0.1:8080",
            &["http://127.0.0.1:8080/", "http://0x7f.1:8080/", "http://[::ffff:7f00:1]:8080/"],
            &[
                "http://127.0.0.1/",
                "http://127.0.0.1:8081/",
                "http://127.0.0.2:8080/",
                "http://localhost:8080/",
            ],
        ),
        ("127.0.0.1:80", &["http://127.0.0.1/"], &["https://127.0.0.1/"]),
        (
            "127.0.0.1",
            &["http://127.0.0.1/", "http://127.0.0.1:9/"],
            &["http://127.0.0.2/", "http://[::1]/"],
        ),
        (
            "10.1.0.0/16",
            &["http://10.1.0.0/", "http://10.1.255.255:99/"],
            &["http://10.2.0.0/", "http://10.0.255.255/", "http://127.0.0.1/"],
        ),
        (
            "fd00::/8",
            &["http://[fd12::1]/"],
            &["http://[fe80::1]/", "http://[::1]/", "http://10.0.0.1/"],
        ),
        (
            "build.internal:8080",
            &["http://build.internal:8080/", "http://BUILD.internal.:8080/"],
            &["http://build.internal/", "http://a.build.internal:8080/", "http://internal:8080/"],
        ),
        ("localhost", &["http://localhost:1234/"], &["http://127.0.0.1/", "http://a.localhost/"]),
    ];
    for (rule, opened, closed) in cases {
        let guard = opening(&[rule]);
        for url in opened {
            assert!(guard.check_url(url).is_ok(), "{rule} opens {url}");
        }
        for url in closed {
            assert!(guard.check_url(url).is_err(), "{rule} does not open {url}");
        }
        assert_eq!(rule.parse::<AllowedHost>().unwrap().to_string(), rule);
    }
}

#[test]
fn what_a_name_resolves_to_is_opened_by_the_name_or_by_the_address() {
    let ten: IpAddr = [10, 0, 0, 7].into();
    let public: IpAddr = [8, 8, 8, 8].into();
    let cases = [
        ("vendor.example", "vendor.example", ten, Some(80), true),
        ("vendor.example", "other.example", ten, Some(80), false),
        ("vendor.example:443", "vendor.example", ten, Some(443), true),
        ("vendor.example:443", "vendor.example", ten, None, false),
        ("10.0.0.0/8", "any.example", ten, None, true),
        ("10.0.0.7:80", "any.example", ten, Some(80), true),
        ("10.0.0.7:80", "any.example", ten, Some(81), false),
        ("10.0.0.8", "any.example", public, None, true),
    ];
    for (rule, host, address, port, admitted) in cases {
        assert_eq!(
            opening(&[rule]).admits(host, address, port),
            admitted,
            "{rule} {host} {port:?}"
        );
    }
}

#[test]
fn what_is_no_rule_is_refused_with_what_to_write() {
    for text in [
        "",
        "http://a.example",
        "a.example/x",
        "*.example.com",
        "10.1.2.3/8",
        "10.0.0.0/33",
        "a:0",
        "a:70000",
        "a b",
        "user@host",
        "10.0.0.0/",
    ] {
        let error = text.parse::<AllowedHost>().unwrap_err().to_string();
        assert!(error.contains("write HOST"), "{error}");
    }
}
