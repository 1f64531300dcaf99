-- A mailbox: a stream of entries `<position>-<ms of the append>`, each one value: id (16), kind (1), expiry (6),
-- ciphertext. Its record says how much it holds. An emptied stream is deleted, but never on the record's word alone.
local HEADER = 23

local function expiry_of(value)
  return (struct.unpack('>I6', value, 18))
end

-- So many entries and bytes leave a mailbox.
local function forgotten(r, count, bytes)
  added.envelopes = added.envelopes - count
  added.bytes = added.bytes - bytes
  added.removed = true
  r.bytes = math.max(0, r.bytes - bytes)
  r.count = r.count - count
end

local function drop(key, r, ids, bytes)
  if #ids == 0 then return end
  forgotten(r, #ids, bytes)
  if r.count <= 0 then
    r.count = redis.call('XLEN', key) - #ids
    if r.count == 0 then
      added.mailboxes = added.mailboxes - 1
      redis.call('DEL', key)
      return
    end
  end
  redis.call('XDEL', key, unpack(ids))
end

-- Removes what has expired and returns how many entries that was. A pass over n entries is not repeated within n ms.
local function prune(key, r, now)
  if r.count == 0 or r.due > now then return 0 end
  local before, due, from = r.count, math.huge, '-'
  repeat
    local page = redis.call('XRANGE', key, from, '+', 'COUNT', 128)
    local ids, bytes = {}, 0
    for _, entry in ipairs(page) do
      local value = entry[2][2]
      local expiry = expiry_of(value)
      if expiry > now then
        due = math.min(due, expiry)
      else
        ids[#ids + 1] = entry[1]
        bytes = bytes + #value - HEADER
      end
    end
    if #page > 0 then from = '(' .. page[#page][1] end
    drop(key, r, ids, bytes)
  until #page < 128
  r.due = r.count == 0 and 0 or math.max(due, now + r.count)
  return before - r.count
end

local function is_full(r, size, most, room)
  return r.count >= most or r.bytes + size > room
end

-- Appends the values and returns an outcome for each: s stored, x expired, f mailbox full. Stored ones have the positions
-- behind the one that the record had.
local function append(key, r, values, now, most, room)
  local outcomes, full = {}, false
  for i, value in ipairs(values) do
    local expiry, size = expiry_of(value), #value - HEADER
    if not full and expiry <= now then
      outcomes[i] = 'x'
    else
      full = full or is_full(r, size, most, room) and (prune(key, r, now) == 0 or is_full(r, size, most, room))
      outcomes[i] = full and 'f' or 's'
      if not full then
        r.position = r.position + 1
        redis.call('XADD', key, string.format('%d-%d', r.position, now), 'e', value)
        r.due = r.count == 0 and expiry or math.min(r.due, expiry)
        r.count = r.count + 1
        r.bytes = r.bytes + size
        if r.count == 1 then added.mailboxes = added.mailboxes + 1 end
        added.envelopes = added.envelopes + 1
        added.bytes = added.bytes + size
      end
    end
  end
  return table.concat(outcomes)
end
