--- Edits before they are made, shown in the buffer: as drafts while they are computed, then to be decided upon.
---
--- All that the user takes is put into the buffer at once, so that one undo takes it back.
local config = require('dgemma.config')
local diff = require('dgemma.diff')
local keys = require('dgemma.keys')
local messages = require('dgemma.messages')
local text = require('dgemma.text')

local M = {}

---@class dgemma.Region
---@field edit lsp.TextEdit
---@field taken? boolean nil: not decided yet.

---@class dgemma.Preview
---@field regions dgemma.Region[] In the order of the text; empty until there is something to see.
---@field current integer The one that is decided upon next.
---@field encoding 'utf-8'|'utf-16'|'utf-32'
---@field tick integer Of the text that the edits are for.
---@field group integer
---@field give_back_keys fun()
---@field cancel? fun() What ends the computation, while these are drafts.

---@type table<integer, dgemma.Preview>
local previews = {}

---@param buf integer
---@param preview dgemma.Preview
local function draw(buf, preview)
  diff.clear(buf)
  for index, region in ipairs(preview.regions) do
    if region.taken ~= false then
      local label = ('(%d/%d)%s'):format(index, #preview.regions, region.taken and ' taken' or '')
      local labelled = #preview.regions > 1 and (region.taken or index == preview.current) and not preview.cancel
      diff.draw(buf, region.edit, preview.encoding, {
        added = preview.cancel and 'DgemmaDraft' or 'DgemmaAdd',
        label = labelled and label or nil,
      })
    end
  end
end

--- Bring the cursor to the region that is decided upon next.
---@param buf integer
---@param preview dgemma.Preview
local function go_to_current(buf, preview)
  if vim.api.nvim_get_current_buf() == buf and #preview.regions > 1 then
    local row, column = diff.place(buf, preview.regions[preview.current].edit.range.start, preview.encoding)
    vim.api.nvim_win_set_cursor(0, { row + 1, column })
  end
end

--- The keys that mean something while a preview is shown, as far as the user wants them.
---@param buf integer
---@param names string[]
---@return table<string, { call: fun(), desc: string }>
local function meanings(buf, names)
  local known = {
    accept = { call = M.accept, desc = 'accept the preview' },
    reject = { call = M.reject, desc = 'reject the preview' },
    take = { call = M.take, desc = 'take this region' },
    skip = { call = M.skip, desc = 'leave this region as it is' },
    next = { call = M.next, desc = 'go to the next region' },
    previous = { call = M.previous, desc = 'go to the previous region' },
  }
  local found = {}
  for _, name in ipairs(names) do
    local key = config.get().preview_keys[name]
    if key then
      found[key] = {
        call = function()
          known[name].call(buf)
        end,
        desc = known[name].desc,
      }
    end
  end
  return found
end

---@param buf integer
---@param key_names string[]
---@param encoding 'utf-8'|'utf-16'|'utf-32'
---@return dgemma.Preview
local function begin(buf, key_names, encoding)
  M.close(buf)
  local group = vim.api.nvim_create_augroup('dgemma.preview:' .. buf, {})
  ---@type dgemma.Preview
  local preview = {
    regions = {},
    current = 1,
    encoding = encoding,
    tick = vim.api.nvim_buf_get_changedtick(buf),
    group = group,
    give_back_keys = keys.lend(buf, meanings(buf, key_names)),
  }
  previews[buf] = preview
  vim.api.nvim_create_autocmd({ 'TextChanged', 'TextChangedI', 'TextChangedP', 'BufUnload' }, {
    group = group,
    buffer = buf,
    callback = function(event)
      if event.event == 'BufUnload' or preview.tick ~= vim.api.nvim_buf_get_changedtick(buf) then
        M.close(buf)
      end
    end,
  })
  return preview
end

---@param edits lsp.TextEdit[]
---@return dgemma.Region[]
local function regions_of(edits)
  local regions = {} ---@type dgemma.Region[]
  for _, edit in ipairs(edits) do
    -- Without what else the server may say of it: the user has seen it, nothing is left to confirm.
    table.insert(regions, { edit = { range = edit.range, newText = edit.newText } })
  end
  table.sort(regions, function(a, b)
    local one, other = a.edit.range.start, b.edit.range.start
    return one.line < other.line or (one.line == other.line and one.character < other.character)
  end)
  return regions
end

--- From now on the key that rejects gives up what is being computed; drafts may be shown.
---@param buf integer
---@param encoding 'utf-8'|'utf-16'|'utf-32'
---@param cancel fun()
function M.wait(buf, encoding, cancel)
  begin(buf, { 'reject' }, encoding).cancel = cancel
end

--- Show how far the edits have come.
---@param buf integer
---@param edits lsp.TextEdit[]
function M.draft(buf, edits)
  local preview = previews[buf]
  if preview and preview.cancel and preview.tick == vim.api.nvim_buf_get_changedtick(buf) then
    preview.regions = regions_of(edits)
    draw(buf, preview)
  end
end

---@param count integer
local function explain(count)
  local chosen = config.get().preview_keys
  local accept, reject = chosen.accept or ':Dgemma accept', chosen.reject or ':Dgemma reject'
  if count == 1 then
    messages.say(('one change; %s accepts, %s rejects'):format(accept, reject))
  else
    local take, skip = chosen.take or ':Dgemma take', chosen.skip or ':Dgemma skip'
    local all = ('%d changes; %s takes all, %s none'):format(count, accept, reject)
    messages.say(('%s, %s this one, %s not'):format(all, take, skip))
  end
end

--- Show edits of a buffer's present text, to be decided upon.
---@param buf integer
---@param edits lsp.TextEdit[]
---@param encoding 'utf-8'|'utf-16'|'utf-32'
function M.open(buf, edits, encoding)
  local several = #edits > 1
  local names = several and { 'accept', 'reject', 'take', 'skip', 'next', 'previous' } or { 'accept', 'reject' }
  local preview = begin(buf, names, encoding)
  preview.regions = regions_of(edits)
  draw(buf, preview)
  go_to_current(buf, preview)
  explain(#edits)
end

--- Whether there is something to decide upon, and it still fits the text.
---@param buf integer
---@return boolean
function M.is_open(buf)
  local preview = previews[buf]
  return preview ~= nil and not preview.cancel and preview.tick == vim.api.nvim_buf_get_changedtick(buf)
end

---@param buf integer
function M.close(buf)
  local preview = previews[buf]
  if preview then
    previews[buf] = nil
    vim.api.nvim_del_augroup_by_id(preview.group)
    if vim.api.nvim_buf_is_loaded(buf) then
      diff.clear(buf)
      preview.give_back_keys()
    end
  end
end

--- Say what became of a preview: the keys that were explained mean something else now.
---@param count integer Of the edits that were made.
local function conclude(count)
  if count == 0 then
    messages.say('nothing was changed')
  else
    messages.say(count == 1 and 'changed; u takes it back' or ('%d changed; u takes them back'):format(count))
  end
end

--- Make the edits that were taken, all at once.
---@param buf integer
---@param preview dgemma.Preview
local function finish(buf, preview)
  local taken = {} ---@type lsp.TextEdit[]
  for _, region in ipairs(preview.regions) do
    if region.taken then
      table.insert(taken, region.edit)
    end
  end
  M.close(buf)
  if #taken > 0 then
    text.break_undo(buf)
    vim.lsp.util.apply_text_edits(taken, buf, preview.encoding)
    text.break_undo(buf)
  end
  conclude(#taken)
end

--- The next region that is not decided upon; nil when there is none.
---@param preview dgemma.Preview
---@return integer?
local function undecided(preview)
  for offset = 1, #preview.regions do
    local index = (preview.current - 1 + offset) % #preview.regions + 1
    if preview.regions[index].taken == nil then
      return index
    end
  end
end

---@param buf integer
---@param taken boolean
---@return boolean # whether there was a preview that fits the text.
local function decide(buf, taken)
  local preview = previews[buf]
  if not M.is_open(buf) then
    return false
  end
  preview.regions[preview.current].taken = taken
  local index = undecided(preview)
  if index then
    preview.current = index
    draw(buf, preview)
    go_to_current(buf, preview)
  else
    finish(buf, preview)
  end
  return true
end

--- Take the region that is shown as the current one; with the last one decided upon, the edits are made.
---@param buf integer
---@return boolean # whether there was a preview that fits the text.
function M.take(buf)
  return decide(buf, true)
end

--- Leave the current region as it is.
---@param buf integer
---@return boolean # whether there was a preview that fits the text.
function M.skip(buf)
  return decide(buf, false)
end

---@param buf integer
---@param step integer
local function move(buf, step)
  local preview = previews[buf]
  if M.is_open(buf) then
    preview.current = (preview.current - 1 + step) % #preview.regions + 1
    draw(buf, preview)
    go_to_current(buf, preview)
  end
end

---@param buf integer
function M.next(buf)
  move(buf, 1)
end

---@param buf integer
function M.previous(buf)
  move(buf, -1)
end

--- Take every region that was not skipped.
---@param buf integer
---@return boolean # whether there was a preview that fits the text.
function M.accept(buf)
  local preview = previews[buf]
  if not M.is_open(buf) then
    return false
  end
  for _, region in ipairs(preview.regions) do
    region.taken = region.taken ~= false
  end
  finish(buf, preview)
  return true
end

--- Leave the text as it is, and give up what is being computed.
---@param buf integer
---@return boolean # whether there was a preview.
function M.reject(buf)
  local preview = previews[buf]
  M.close(buf)
  if preview and preview.cancel then
    preview.cancel()
  elseif preview then
    conclude(0)
  end
  return preview ~= nil
end

return M
