-- A ciphertext that envelopes in mailboxes of one shard have in common is kept once, under `l{HH}P` and its name: how many
-- entries refer to it (4), the mark of the call that kept it (4), ciphertext. An entry that refers to one has 2 added to its
-- kind and, in place of a ciphertext, its length (4), name (32) and mark: it counts only for the payload that it was made with.
-- A call reads how often each is referred to when it first meets it, and writes what changed at its end.
local REFERENCE = 59
local payloads = {}

local function size_of(value)
  if string.byte(value, 17) < 2 then return #value - HEADER end
  return (struct.unpack('>I4', value, HEADER + 1))
end

-- Where the payload of a mailbox's entry is kept; false for an entry that has its ciphertext itself.
local function place_of(mailbox, value)
  return string.byte(value, 17) > 1 and string.sub(mailbox, 1, 5) .. 'P' .. string.sub(value, HEADER + 5, REFERENCE)
end

-- One that is not here has the count 0. While its slot moves it may be on another server: then two keys in one command are
-- an error.
local function payload_of(mailbox, value)
  local at = place_of(mailbox, value)
  if at and not payloads[at] then
    local head = redis.call('GETRANGE', at, 0, 7)
    if head == '' then redis.call('EXISTS', mailbox, at) end
    payloads[at] = { count = head == '' and 0 or struct.unpack('>I4', head), mark = string.sub(head, 5) }
  end
  return at and payloads[at]
end

-- Entries that leave a mailbox refer to nothing any more. What they refer to is all known before anything is changed.
local function let_go(mailbox, entries)
  local fewer = {}
  for _, entry in ipairs(entries) do
    local p = payload_of(mailbox, entry[2][2])
    if p and p.mark == string.sub(entry[2][2], REFERENCE + 1) then fewer[#fewer + 1] = p end
  end
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
