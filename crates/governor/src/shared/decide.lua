-- One decision of a shared budget, atomic over all its limits: takes reports in, trims, and grants a block of permits.
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
local function learning() return meta.learn_until ~= nil end

local function load()
  local packed = redis.call('GET', KEYS[1])
  if packed then meta = cmsgpack.unpack(packed) end
  local flat = redis.call('HGETALL', KEYS[2])
  for i = 1, #flat, 2 do members[flat[i]] = cmsgpack.unpack(flat[i + 1]) end
end

local function save(gone)
  redis.call('SET', KEYS[1], cmsgpack.pack(meta))
  for _, id in ipairs(gone) do redis.call('HDEL', KEYS[2], id) end
  for _, id in ipairs({ me, '?' }) do
    if members[id] then redis.call('HSET', KEYS[2], id, cmsgpack.pack(members[id])) end
  end
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

-- No epoch, another server process, or an older state than a member has seen: calls may be missing from the logs.
local function is_lost()
  if not meta.epoch then return true end
  if ask.run ~= '' and meta.run ~= ask.run then return true end
  return ask.epoch == meta.epoch and ask.seq > meta.seq
end

local function begin_learning()
  meta.epoch, meta.run, meta.seq = ask.call .. '@' .. string.format('%.0f', now), ask.run, 0
  meta.learn_until, meta.joined, meta.best = now + ask.learn_us, 0, nil
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

-- A member's fallback share is kept free from when it may be gone until the last call it can have sent without us has
-- left the window of limit `j`; nil: for good.
local function absent(member) return now - member.seen > ask.absent_us end
local function reserved_until(member, j)
  return member.seen + 2 * ask.absent_us + ask.fallback_us + ask.lease_us + ask.grace_us + hold(j)
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
    local idle = absent(member) and id ~= me
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
    if not absent(member) then active = active + 1 end
  end
  return sum, active
end

-- A member has uploaded its log. What it remembers of the whole decides, at the end of the learning, how many calls
-- nobody spoke for.
local function join()
  local memory, before = ask.memory, members[me]
  local member = { seen = now, share = 0, want = 0, asked = 0, since = now, served = meta.level or 0 }
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
-- have happened. If a member that was alive did not come back, what it did last is unknown: every window counts as full.
local function add_ghosts(j, best)
  local known = 0
  local from = '(' .. string.format('%.0f', best.at - hold(j))
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
    members['?'] = { seen = best.at - ask.absent_us, share = missing, want = 0, asked = 0, since = now, served = 0 }
  end
end

-- What is used of every limit, what is allowed now, and how many calls fit in all of them.
local function room_now()
  local room = math.huge
  for j = 1, #ask.limits do
    redis.call('ZREMRANGEBYSCORE', log_of(j), '-inf', string.format('%.0f', now - hold(j)))
    used[j] = redis.call('ZCARD', log_of(j))
    allowed[j] = math.max(0, calls(j) - reserved(j))
    room = math.min(room, allowed[j] - used[j])
  end
  if now < (meta.gate or 0) then room = 0 end
  return math.max(0, room)
end

-- Microseconds until it is worth asking again. A call that has no stamp yet may get one of a moment ago.
local function wait_us()
  local at = math.max(now, meta.gate or 0)
  for j = 1, #ask.limits do
    local must_leave = used[j] - allowed[j]
    if must_leave >= 0 then
      local entry = redis.call('ZRANGE', log_of(j), must_leave, must_leave, 'WITHSCORES')
      local score = tonumber(entry[2]) or now
      if score > now then score = now - ask.report_us end
      at = math.max(at, score + hold(j))
    end
  end
  return math.max(at - now, ask.hand_us)
end

local function waiting(member) return member.want > 0 and now - member.asked < ask.waiter_us end

-- What `member` gets if everyone who waits is filled up to `level` calls.
local function part(member, level) return math.min(member.want, math.max(0, level - member.served)) end

-- This member's part of `room`: who was served least comes first, until all stand at one level; what cannot be divided
-- goes to whoever waits longest. Nobody can take what is another's turn by asking more often.
local function my_part(room)
  local low, high, line = math.huge, 0, {}
  for id, member in pairs(members) do
    if waiting(member) then
      line[#line + 1] = { id = id, member = member }
      low, high = math.min(low, member.served), math.max(high, member.served + room)
    end
  end
  local function filled(level)
    local sum = 0
    for _, w in ipairs(line) do sum = sum + part(w.member, level) end
    return sum
  end
  while low < high do
    local middle = math.ceil((low + high) / 2)
    if filled(middle) <= room then low = middle else high = middle - 1 end
  end
  local mine, before, left, others = members[me], 0, room - filled(low), 0
  for _, w in ipairs(line) do
    local m = w.member
    if w.id ~= me then others = others + 1 end
    local earlier = m.since < mine.since or (m.since == mine.since and w.id < me)
    if earlier and m.served <= low and part(m, low) < m.want then before = before + 1 end
  end
  local get = part(mine, low)
  if get < mine.want and mine.served <= low and before < left then get = get + 1 end
  return get, others
end

local function grant()
  local mine, room = members[me], room_now()
  if not waiting(mine) then
    mine.since, mine.served = now, math.max(mine.served, meta.level or 0)
  end
  mine.want, mine.asked = ask.want, now
  if room == 0 or ask.want + ask.extra == 0 then return 0 end
  local get, others = my_part(room)
  if get == ask.want and others == 0 then
    -- Nobody else waits: a few in stock save the next caller a round trip.
    local _, active = shares()
    get = get + math.min(ask.extra, math.floor((room - get) / (2 * math.max(1, active))))
  end
  if get > 0 then
    meta.level = math.max(meta.level or 0, mine.served)
    mine.want, mine.since, mine.served = math.max(0, mine.want - get), now, mine.served + get
    for i = 0, get - 1 do
      put(ask.call .. ':' .. string.format('%.0f', ask.first + i), 65535, now + ask.lease_us + ask.grace_us)
    end
    flush()
    for j = 1, #ask.limits do used[j] = used[j] + get end
  end
  return get
end

local function reply(status, granted, wait)
  local gone = drop_members()
  local sum, active = shares()
  meta.seq = meta.seq + 1
  save(gone)
  local gate = math.max(0, (meta.gate or 0) - now)
  local answer = { status, meta.epoch, meta.seq, now, granted, wait, gate, active, sum }
  for j = 1, #ask.limits do answer[9 + j] = used[j] or redis.call('ZCARD', log_of(j)) end
  return answer
end

local function decide()
  load()
  meta.settings = meta.settings or ask.settings
  if meta.settings ~= ask.settings then return redis.error_reply('SETTINGS ' .. meta.settings) end
  tell_time(ask.epoch == meta.epoch)
  if is_lost() then begin_learning() end
  if learning() and now >= meta.learn_until then end_learning() end
  if ask.epoch ~= meta.epoch then
    if ask.join ~= meta.epoch then return reply('join', 0, 0) end
    take_reports()
    if not ask.done then return reply('more', 0, 0) end
    join()
  else
    take_reports()
    if ask.leave then
      redis.call('HDEL', KEYS[2], me)
      members[me] = nil
      return reply('left', 0, 0)
    end
    local mine = members[me]
    if not mine then return reply('join', 0, 0) end
    if ask.ack > 0 then mine.seen, mine.share = math.max(mine.seen, ask.ack), ask.share end
  end
  if learning() then return reply('learning', 0, meta.learn_until - now) end
  local granted = grant()
  return reply('ok', granted, wait_us())
end

return decide()
