-- One decision of a shared budget, atomic over all its limits: takes reports in, trims, and grants a block of permits.
-- This half keeps what is known: time, members, logs, and what to do when they are lost. `decide.lua` goes on from here.
--
-- KEYS  1 what all share ("meta"), 2 the members (hash), 3.. one sorted set per limit: the log of its window.
--       All of them carry one hash tag, so a cluster keeps them on one node.
-- ARGV  1 the question, JSON (`wire.rs` says what is in it).
-- A log's member is a call's id, its score the latest moment (microseconds) at which the vendor can have counted it.
-- Time is the server's own and nobody else's. Needs Redis 5 or later.

local ask = cjson.decode(ARGV[1])
local me = ask.member
local now, meta, members = 0, {}, {}
local used, allowed = {}, {}

local function calls(j) return ask.limits[j][1] end
local function hold(j) return ask.limits[j][2] end
local function log_of(j) return KEYS[2 + j] end
local function longest()
  local most = 0
  for j = 1, #ask.limits do most = math.max(most, hold(j)) end
  return most
end
local function learning() return meta.learn_until ~= nil end

local function load()
  local packed = redis.call('GET', KEYS[1])
  if packed then meta = cmsgpack.unpack(packed) end
  local flat = redis.call('HGETALL', KEYS[2])
  for i = 1, #flat, 2 do members[flat[i]] = cmsgpack.unpack(flat[i + 1]) end
end

-- How much every key but the first holds. Only this script writes them: another size means that something else did, an
-- eviction, say.
local function sizes()
  local list = { redis.call('HLEN', KEYS[2]) }
  for j = 1, #ask.limits do list[1 + j] = redis.call('ZCARD', log_of(j)) end
  return list
end

local function save(gone)
  for _, id in ipairs(gone) do redis.call('HDEL', KEYS[2], id) end
  for _, id in ipairs({ me, '?' }) do
    if members[id] then redis.call('HSET', KEYS[2], id, cmsgpack.pack(members[id])) end
  end
  meta.sizes = sizes()
  redis.call('SET', KEYS[1], cmsgpack.pack(meta))
  for _, key in ipairs(KEYS) do redis.call('PEXPIRE', key, ask.keep_ms) end
end

-- The server's clock made monotonic: set back, it stands still; set forward past what the asking process can believe by
-- its own clock, only the believable part counts. A window that opened early would let too many through.
local function tell_time(same_epoch)
  local time = redis.call('TIME')
  local wall = tonumber(time[1]) * 1000000 + tonumber(time[2])
  now = wall - (meta.offset or 0)
  if same_epoch and ask.at_most > 0 then now = math.min(now, ask.at_most) end
  now = math.max(now, meta.last or now)
  meta.offset, meta.last = wall - now, now
end

-- No epoch, another server process, missing entries, or an older state than a member has seen: the logs may lack calls.
local function is_lost()
  if not meta.epoch then return true end
  if ask.run ~= '' and meta.run ~= ask.run then return true end
  for i, size in ipairs(sizes()) do
    if meta.sizes[i] ~= size then return true end
  end
  return ask.epoch == meta.epoch and ask.seq > meta.seq
end

local function begin_learning()
  meta.epoch, meta.run, meta.seq = ask.call .. '@' .. string.format('%.0f', now), ask.run, 0
  meta.learn_until, meta.joined, meta.best = now + ask.learn_us, 0, nil
end

-- Nothing sent under the settings so far weighs any more, under these or the new ones, and nobody can be sending: then
-- other settings may take their place.
local function is_quiet(last)
  local quiet = math.max(meta.quiet_us, longest() + ask.lease_us + ask.grace_us)
  for _, member in pairs(members) do
    if member.share > 0 then last = math.max(last, member.met + meta.fallback_us) end
  end
  return now - last > quiet
end

local function forget()
  meta, members = { offset = meta.offset, last = meta.last }, {}
  redis.call('DEL', unpack(KEYS))
end

-- Writes calls into the logs of the limits named by `bits`, many at once.
local batch = {}
local function put(id, bits, score)
  for j = 1, #ask.limits do
    if bit.band(bits, bit.lshift(1, j - 1)) ~= 0 then
      if learning() or score + hold(j) > now then
        local list = batch[j] or {}
        list[#list + 1] = score
        list[#list + 1] = id
        batch[j] = list
      else
        redis.call('ZREM', log_of(j), id)
      end
    end
  end
end

local function flush()
  for j, list in pairs(batch) do
    for i = 1, #list, 4000 do
      redis.call('ZADD', log_of(j), unpack(list, i, math.min(i + 3999, #list)))
    end
  end
  batch = {}
end

local function take_reports()
  local function id(suffix) return ask.call .. ':' .. suffix end
  for i = 1, #ask.stamped, 3 do
    put(id(ask.stamped[i]), ask.stamped[i + 1], now - ask.stamped[i + 2])
  end
  for i = 1, #ask.held, 2 do put(id(ask.held[i]), ask.held[i + 1], now + ask.lease_us + ask.grace_us) end
  flush()
  for i = 1, #ask.returned, 2 do
    for j = 1, #ask.limits do
      if bit.band(ask.returned[i + 1], bit.lshift(1, j - 1)) ~= 0 then
        redis.call('ZREM', log_of(j), id(ask.returned[i]))
      end
    end
  end
  if ask.gate_us > 0 then meta.gate = math.max(meta.gate or 0, now + ask.gate_us) end
end

-- A member that may be cut off from us has its fallback share kept free: from a while after the last answer that it says
-- it heard ("seen"), and until the last call that it can have sent by itself after the last answer we gave ("met") has
-- left the window of limit `j`. Whom we merely hear ("heard") may not hear us.
local function silent(member) return now - member.heard > ask.absent_us end
local function absent(member) return now - member.seen > ask.absent_us end
local function reserved_until(member, j)
  return member.met + ask.fallback_us + ask.lease_us + ask.grace_us + hold(j)
end

-- Not for the one that asks: it asks for permits only after it has told all that it sent.
local function reserved(j)
  local sum = 0
  for id, member in pairs(members) do
    if id ~= me and member.share > 0 and absent(member) and now < reserved_until(member, j) then
      sum = sum + math.floor(member.share * calls(j) / 1000000)
    end
  end
  return sum
end

-- Members that need no place any more: their share is free again in every window.
local function drop_members()
  local gone = {}
  for id, member in pairs(members) do
    local idle = silent(member) and id ~= me
    for j = 1, #ask.limits do
      idle = idle and (member.share == 0 or now >= reserved_until(member, j))
    end
    if idle then gone[#gone + 1] = id end
  end
  for _, id in ipairs(gone) do members[id] = nil end
  return gone
end

local function shares()
  local sum, active = 0, 0
  for _, member in pairs(members) do
    sum = sum + member.share
    if not silent(member) then active = active + 1 end
  end
  return sum, active
end

-- A member has uploaded its log. What it remembers of the whole decides, at the end of the learning, how many calls
-- nobody spoke for.
local function join()
  local memory, before = ask.memory, members[me]
  local member = { heard = now, seen = now, met = now, share = 0, want = 0, asked = 0, since = now, served = meta.level or 0 }
  if memory then
    -- It may be sending its fallback share: absent until it has heard from us.
    member.seen, member.share = now - memory.age_us - ask.absent_us - 1, ask.share
    local unknown = members['?']
    if unknown and not before then unknown.share = math.max(0, unknown.share - ask.share) end
    if learning() then
      meta.joined = meta.joined + 1
      local at = now - memory.age_us
      if not meta.best or at > meta.best.at then
        meta.best = { at = at, used = memory.used, active = memory.active, shares = memory.shares }
      end
    end
  end
  members[me] = member
end

-- Calls that were known and that nobody uploaded (their process is gone) go on counting as ghosts, as late as they can
-- have happened. An uploaded stamp may come out later than it was (ages are told short, and a question takes time), so what
-- stands near the old end of the window is not taken for a known call. If a member that was alive did not come back, what it did last is unknown: every window counts as full.
local function add_ghosts(j, best)
  local known = 0
  local from = string.format('%.0f', best.at - hold(j) + hold(j) / 500 + ask.skew_us)
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', log_of(j), from, '+inf')) do
    if not string.find(id, ':~', 1, true) then known = known + 1 end -- a `~` was sent without us
  end
  local ghosts = best.used[j] - known
  if meta.joined < best.active then ghosts = math.max(ghosts, calls(j) - known) end
  for i = 1, ghosts do
    put('ghost:' .. meta.epoch .. ':' .. i, bit.lshift(1, j - 1), best.at + 2 * ask.lease_us + ask.grace_us)
  end
end

local function end_learning()
  local best = meta.best
  meta.learn_until = nil
  if not best then return end
  for j = 1, #ask.limits do add_ghosts(j, best) end
  flush()
  local missing = best.shares - shares()
  if missing > 0 then
    members['?'] = {
      heard = best.at, seen = best.at - ask.absent_us - 1, met = best.at + 2 * ask.lease_us, share = missing,
      want = 0, asked = 0, since = now, served = 0,
    }
  end
end
