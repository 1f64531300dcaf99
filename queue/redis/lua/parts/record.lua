-- The owner record: layout 1, position counter, entries and bytes held, the time before which nothing of it expires,
-- highest epoch, minute last seen, the owner's session and node (empty: nobody owns it). `R` alone is a tombstone.
-- A call reads all its records in one step and writes those that it changed in one step, also where it fails half-way.
local RECORD = '>BI6I4I6I6I8I4I6'
local NEW = string.rep('\0', 41)
local TOMBSTONE = 'R'
local records = {}

-- False for a device that was removed.
local function record_in(raw)
  if raw == TOMBSTONE then return false end
  local _, position, count, bytes, due, epoch, seen, session, at = struct.unpack(RECORD, raw or NEW)
  return {
    position = position, count = count, bytes = bytes, due = due,
    epoch = epoch, seen = seen, session = session, node = string.sub(raw or NEW, at),
  }
end

-- The record under `key` was changed.
local function note(key)
  records[key].is_changed = true
end

-- Answers for each record of the call: `work(record, key, next key, i)`. Records are under all[first], and under every
-- `step`th key behind it. What `finish` writes belongs to what was done, however far that came.
local function for_each_record(all, first, step, work, finish)
  local keys, out, values = {}, {}, {}
  for at = first, #all, step do keys[#keys + 1] = all[at] end
  for i, raw in ipairs(redis.call('MGET', unpack(keys))) do records[keys[i]] = record_in(raw) end
  local ok, why = pcall(function()
    for i, key in ipairs(keys) do out[i] = work(records[key], key, all[first + step * (i - 1) + 1], i) end
  end)
  for key, r in pairs(records) do
    if r and r.is_changed then
      values[#values + 1] = key
      values[#values + 1] =
        struct.pack(RECORD, 1, r.position, r.count, r.bytes, r.due, r.epoch, r.seen, r.session) .. r.node
    end
  end
  if #values > 0 then redis.call('MSET', unpack(values)) end
  if finish then finish() end
  if not ok then error(why) end
  return out
end

-- As answers name it: session and node, or nothing.
local function owner_of(r)
  return r.node == '' and '' or struct.pack('>I6', r.session) .. r.node
end
