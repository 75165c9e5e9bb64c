-- One decision of a shared budget, continued from `state.lua`: how much room there is, whose it is, and the answer.

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
  local last = meta.last or 0
  tell_time(meta.epoch ~= nil and ask.epoch == meta.epoch)
  if meta.settings and meta.settings ~= ask.settings then
    if not is_quiet(last) then return redis.error_reply('SETTINGS ' .. meta.settings) end
    forget()
  end
  if not meta.settings then
    meta.settings, meta.fallback_us = ask.settings, ask.fallback_us
    meta.quiet_us = longest() + ask.lease_us + ask.grace_us
  end
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
    mine.heard = now
    if ask.ack > 0 then mine.seen, mine.share = math.max(mine.seen, ask.ack), ask.share end
  end
  if learning() then return reply('learning', 0, meta.learn_until - now) end
  members[me].met = now
  local granted = grant()
  return reply('ok', granted, wait_us())
end

return decide()
