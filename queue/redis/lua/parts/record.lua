-- The owner record: layout 1, position counter, entries and bytes held, the time before which nothing of it expires,
-- highest epoch, minute last seen, the owner's session and node (empty: nobody owns it). `R` alone is a tombstone.
local RECORD = '>BI6I4I6I6I8I4I6'
local TOMBSTONE = 'R'

-- Returns nil for a device that was removed.
local function recall(key)
  local raw = redis.call('GET', key)
  if raw == TOMBSTONE then return nil end
  if not raw then
    return { position = 0, count = 0, bytes = 0, due = 0, epoch = 0, seen = 0, session = 0, node = '' }
  end
  local _, position, count, bytes, due, epoch, seen, session, at = struct.unpack(RECORD, raw)
  return {
    position = position, count = count, bytes = bytes, due = due,
    epoch = epoch, seen = seen, session = session, node = string.sub(raw, at),
  }
end

local function note(key, r)
  local fixed = struct.pack(RECORD, 1, r.position, r.count, r.bytes, r.due, r.epoch, r.seen, r.session)
  redis.call('SET', key, fixed .. r.node)
end

-- As answers name it: session and node, or nothing.
local function owner_of(r)
  if r.node == '' then return '' end
  return struct.pack('>I6', r.session) .. r.node
end
