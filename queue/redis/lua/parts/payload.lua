-- A ciphertext that envelopes in mailboxes of one shard have in common is kept once, under `l{HH}P` and its name: how many
-- entries refer to it (4), the mark of the call that kept it (4), ciphertext. An entry that refers to one has 2 added to its
-- kind, which is byte 17, and, in place of a ciphertext, its length (4), name (32) and mark: it counts only for the payload
-- that it was made with. A call reads how often each is referred to when it first meets it, and writes what changed at its end.
local REFERENCE = 59
local payloads, byte = {}, string.byte

local function size_of(value)
  if byte(value, 17) < 2 then return #value - HEADER end
  return (struct.unpack('>I4', value, HEADER + 1))
end

-- What an entry of a mailbox refers to. One that is not here has the count 0. While its slot moves it may be on another
-- server: then two keys in one command are an error.
local function payload_of(mailbox, value)
  local at = string.sub(mailbox, 1, 5) .. 'P' .. string.sub(value, HEADER + 5, REFERENCE)
  local p = payloads[at]
  if not p then
    local head = redis.call('GETRANGE', at, 0, 7)
    if head == '' then redis.call('EXISTS', mailbox, at) end
    p = { at = at, count = head == '' and 0 or struct.unpack('>I4', head), mark = string.sub(head, 5) }
    payloads[at] = p
  end
  return p
end

-- A reference is about to leave: what it counts for is added to `fewer`. Nothing is changed before all are known.
local function meet(mailbox, value, fewer)
  local p = payload_of(mailbox, value)
  if p.mark == string.sub(value, REFERENCE + 1) then fewer[#fewer + 1] = p end
end

local function let_go(fewer)
  for _, p in ipairs(fewer) do p.count, p.is_changed = p.count - 1, true end
end

-- Writes what changed, and the counters.
local function settle(counters, now)
  for at, p in pairs(payloads) do
    local head = struct.pack('>I4', p.count) .. p.mark
    local write = p.bytes and { 'SET', at, head .. p.bytes } or { 'SETRANGE', at, 0, head }
    if p.is_changed then redis.call(unpack(p.count == 0 and { 'DEL', at } or write)) end
  end
  count_up(counters, now)
end
