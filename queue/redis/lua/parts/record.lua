-- The owner record: layout 1, position counter, entries and bytes held, the time before which nothing of it expires,
-- highest epoch, minute last seen, the owner's session and node (empty: nobody owns it). `R` alone is a tombstone.
-- A call reads all its records in one step and writes those that it changed in one step, also where it fails half-way.
local RECORD = '>BI6I4I6I6I8I4I6'
local TOMBSTONE = 'R'
local records, changes, changed = {}, {}, {}

-- False for a device that was removed.
local function record_in(raw)
  if raw == TOMBSTONE then return false end
  if not raw then
    return { position = 0, count = 0, bytes = 0, due = 0, epoch = 0, seen = 0, session = 0, node = '' }
  end
  local _, position, count, bytes, due, epoch, seen, session, at = struct.unpack(RECORD, raw)
  return {
    position = position, count = count, bytes = bytes, due = due,
    epoch = epoch, seen = seen, session = session, node = string.sub(raw, at),
  }
end

-- The record under `key` was changed.
local function note(key)
  if not changed[key] then
    changed[key] = true
    changes[#changes + 1] = key
  end
end

-- Answers for each record of the call: `work(record, key, next key, i)`. Records are under all[first], and under every
-- `step`th key behind it.
local function for_each_record(all, first, step, work)
  local keys, out, values = {}, {}, {}
  for at = first, #all, step do keys[#keys + 1] = all[at] end
  for i, raw in ipairs(redis.call('MGET', unpack(keys))) do records[keys[i]] = record_in(raw) end
  local ok, why = pcall(function()
    for i, key in ipairs(keys) do out[i] = work(records[key], key, all[first + step * (i - 1) + 1], i) end
  end)
  for _, key in ipairs(changes) do
    local r = records[key]
    values[#values + 1] = key
    values[#values + 1] =
      struct.pack(RECORD, 1, r.position, r.count, r.bytes, r.due, r.epoch, r.seen, r.session) .. r.node
  end
  if #values > 0 then redis.call('MSET', unpack(values)) end
  if not ok then error(why) end
  return out
end

-- As answers name it: session and node, or nothing.
local function owner_of(r)
  if r.node == '' then return '' end
  return struct.pack('>I6', r.session) .. r.node
end
