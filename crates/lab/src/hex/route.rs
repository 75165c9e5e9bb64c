//! Which operation a request asks for: the current paths, and the older ones that clients still use.

use hyper::Method;
use percent_encoding::percent_decode_str;

use super::group::HexGroupName;

/// Where the simulated Hex begins.
pub(crate) const PREFIX: &str = "/api/v1/";

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    ListProjects,
    GetProject(String),
    RunProject(String),
    GetProjectRuns(String),
    GetRunStatus(String, String),
    CancelRun(String, String),
    /// Nothing that Hex has.
    Unknown,
}

impl Operation {
    /// The operation of a method and a path.
    ///
    /// | | current | older |
    /// |---|---|---|
    /// | RunProject | `POST /projects/P/runs` | `POST /project/P/run` |
    /// | GetProjectRuns | `GET /projects/P/runs` | `GET /project/P/runs` |
    /// | GetRunStatus, CancelRun | `GET`, `DELETE /projects/P/runs/R` | `GET`, `DELETE /project/P/run/R` |
    pub(super) fn of(method: &Method, path: &str) -> Self {
        let Some(rest) = path.strip_prefix(PREFIX) else {
            return Self::Unknown;
        };
        let parts: Vec<&str> = rest.trim_end_matches('/').splitn(5, '/').collect();
        match (method.as_str(), parts.as_slice()) {
            ("GET", ["projects"]) => Self::ListProjects,
            ("GET", ["projects", project]) => Self::GetProject(decoded(project)),
            ("POST", ["projects", project, "runs"] | ["project", project, "run"]) => {
                Self::RunProject(decoded(project))
            }
            ("GET", ["projects" | "project", project, "runs"]) => {
                Self::GetProjectRuns(decoded(project))
            }
            ("GET", ["projects", project, "runs", run] | ["project", project, "run", run]) => {
                Self::GetRunStatus(decoded(project), decoded(run))
            }
            ("DELETE", ["projects", project, "runs", run] | ["project", project, "run", run]) => {
                Self::CancelRun(decoded(project), decoded(run))
            }
            _ => Self::Unknown,
        }
    }

    /// As Hex names it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::ListProjects => "ListProjects",
            Self::GetProject(_) => "GetProject",
            Self::RunProject(_) => "RunProject",
            Self::GetProjectRuns(_) => "GetProjectRuns",
            Self::GetRunStatus(..) => "GetRunStatus",
            Self::CancelRun(..) => "CancelRun",
            Self::Unknown => "unknown",
        }
    }

    /// The group whose limits it counts in, beside the overall ones.
    pub(super) fn group(&self) -> HexGroupName {
        match self {
            Self::RunProject(_) => HexGroupName::Runs,
            Self::GetProject(_) | Self::GetProjectRuns(_) | Self::GetRunStatus(..) => {
                HexGroupName::Reads
            }
            Self::ListProjects | Self::CancelRun(..) | Self::Unknown => HexGroupName::Overall,
        }
    }

    /// Whether it is one of those that still answer errors in the older shape.
    pub(super) fn has_old_errors(&self) -> bool {
        matches!(self, Self::ListProjects | Self::CancelRun(..))
    }

    /// Whether it only asks.
    pub(super) fn is_read(&self) -> bool {
        !matches!(self, Self::RunProject(_) | Self::CancelRun(..) | Self::Unknown)
    }
}

fn decoded(segment: &str) -> String {
    percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_of_paths_lead_to_the_same_operations() {
        for (method, path, name) in [
            ("GET", "projects", "ListProjects"),
            ("GET", "projects/", "ListProjects"),
            ("GET", "projects/P", "GetProject"),
            ("POST", "projects/P/runs", "RunProject"),
            ("POST", "project/P/run", "RunProject"),
            ("GET", "projects/P/runs", "GetProjectRuns"),
            ("GET", "project/P/runs", "GetProjectRuns"),
            ("GET", "projects/P/runs/R", "GetRunStatus"),
            ("GET", "project/P/run/R", "GetRunStatus"),
            ("DELETE", "projects/P/runs/R", "CancelRun"),
            ("DELETE", "project/P/run/R", "CancelRun"),
            // Nothing has these, though some have called them.
            ("POST", "run/P", "unknown"),
            ("GET", "run/R/status", "unknown"),
            ("POST", "project/P/runs", "unknown"),
            ("GET", "project/P", "unknown"),
            ("GET", "projects/P/runs/R/x", "unknown"),
            ("PUT", "projects/P/runs", "unknown"),
            ("DELETE", "projects/P", "unknown"),
        ] {
            let operation = Operation::of(&method.parse().unwrap(), &format!("{PREFIX}{path}"));
            assert_eq!(operation.name(), name, "{method} {path}");
        }
        assert_eq!(Operation::of(&Method::GET, "/api/v2/projects"), Operation::Unknown);
        let escaped = Operation::of(&Method::GET, "/api/v1/projects/a%20b");
        assert_eq!(escaped, Operation::GetProject("a b".to_owned()));
    }
}
