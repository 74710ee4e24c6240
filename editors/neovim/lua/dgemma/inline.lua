--- Ghost text of our own: asks the server while the user types, shows the answer, accepts it in parts.
---
--- The answer to an older question is still good when the user has typed along with it since. A question is given up
--- when a newer one is asked, when the cursor goes elsewhere and when insert mode ends.
local config = require('dgemma.config')
local ghost = require('dgemma.ghost')
local messages = require('dgemma.messages')
local suggestions = require('dgemma.suggestion')
local text = require('dgemma.text')

local M = {}

local METHOD = 'textDocument/inlineCompletion'

---@enum dgemma.Trigger
local Trigger = { INVOKED = 1, AUTOMATIC = 2 }

---@class dgemma.Inline
---@field buf integer
---@field client_id integer
---@field automatic boolean Whether typing alone asks the server.
---@field group integer
---@field timer uv.uv_timer_t
---@field pending? { id?: integer } The newest question.
---@field seen string Where the cursor was last, in which version of the text.
---@field shown dgemma.Suggestion[] What the user can choose from.
---@field index integer Which of them is shown.
---@field asked boolean Whether they came because the user asked.

---@type table<integer, dgemma.Inline>
local states = {}

---@return dgemma.Cursor
local function cursor()
  local row, column = unpack(vim.api.nvim_win_get_cursor(0))
  return { row = row - 1, column = column, line = vim.api.nvim_get_current_line() }
end

---@param buf integer
---@return boolean
local function is_inserting(buf)
  return vim.api.nvim_get_current_buf() == buf and vim.startswith(vim.api.nvim_get_mode().mode, 'i')
end

---@param state dgemma.Inline
local function cancel(state)
  state.timer:stop()
  local pending = state.pending
  state.pending = nil
  local client = vim.lsp.get_client_by_id(state.client_id)
  if pending and pending.id and client then
    client:cancel_request(pending.id)
  end
end

---@param state dgemma.Inline
local function hide(state)
  if #state.shown > 0 then
    ghost.hide(state.buf)
  end
  state.shown, state.index, state.asked = {}, 1, false
end

--- Draw what is left of the chosen suggestion.
---@param state dgemma.Inline
---@return boolean shown False when the user went another way.
local function draw(state)
  local at = cursor()
  local chosen = state.shown[state.index]
  local rest = chosen and suggestions.rest(chosen, at)
  if not rest then
    return false
  end
  local hint = #state.shown > 1 and (' (%d/%d)'):format(state.index, #state.shown) or nil
  ghost.show(state.buf, at, rest, hint)
  return true
end

---@param state dgemma.Inline
---@param items lsp.InlineCompletionItem[]
---@param at dgemma.Cursor Where they were asked for.
---@param encoding 'utf-8'|'utf-16'|'utf-32'
---@return dgemma.Suggestion[] fitting Those that still continue what stands there.
local function fitting(state, items, at, encoding)
  local now, found = cursor(), {}
  for _, item in ipairs(items) do
    local one = suggestions.from_item(item, at, encoding)
    if one then
      one.text = text.in_buffer(state.buf, one.text)
      if suggestions.rest(one, now) then
        table.insert(found, one)
      end
    end
  end
  return found
end

--- Ask the server; the answer replaces what is shown.
---@param state dgemma.Inline
---@param trigger dgemma.Trigger
---@param choose fun(found: dgemma.Suggestion[]): integer Which one to show first.
local function ask(state, trigger, choose)
  cancel(state)
  local client = vim.lsp.get_client_by_id(state.client_id)
  if not client then
    return
  end
  local at, encoding = cursor(), client.offset_encoding
  local params = vim.lsp.util.make_position_params(0, encoding)
  params.context = { triggerKind = trigger }
  local pending = {}
  state.pending = pending
  local _, id = client:request(METHOD, params, function(err, result)
    if state.pending ~= pending then
      return
    end
    state.pending = nil
    if not is_inserting(state.buf) then
      return
    end
    local items = not err and type(result) == 'table' and (result.items or result) or {}
    local found = fitting(state, items, at, encoding)
    if #found == 0 and trigger == Trigger.INVOKED then
      messages.say('nothing to suggest here')
      return
    end
    local index = choose(found)
    hide(state)
    state.shown, state.index, state.asked = found, index, trigger == Trigger.INVOKED
    draw(state)
  end, state.buf)
  pending.id = id
end

local function first()
  return 1
end

--- The cursor moved or the text changed.
---@param state dgemma.Inline
local function follow(state)
  local row, column = unpack(vim.api.nvim_win_get_cursor(0))
  local seen = ('%d:%d:%d'):format(vim.api.nvim_buf_get_changedtick(state.buf), row, column)
  if seen == state.seen then
    return -- one keystroke causes several events
  end
  state.seen = seen
  if draw(state) then
    return
  end
  hide(state)
  if not state.automatic then
    cancel(state)
    return
  end
  -- A question on its way is kept until there is a newer one: the user may be typing what it will be answered with.
  state.timer:stop()
  state.timer:start(
    config.get().debounce,
    0,
    vim.schedule_wrap(function()
      if states[state.buf] == state and state.automatic and is_inserting(state.buf) then
        ask(state, Trigger.AUTOMATIC, first)
      end
    end)
  )
end

---@param buf integer
---@param client_id integer
---@param automatic boolean
function M.attach(buf, client_id, automatic)
  M.detach(buf)
  local group = vim.api.nvim_create_augroup('dgemma.inline:' .. buf, {})
  ---@type dgemma.Inline
  local state = {
    buf = buf,
    client_id = client_id,
    automatic = automatic,
    group = group,
    timer = assert(vim.uv.new_timer()),
    seen = '',
    shown = {},
    index = 1,
    asked = false,
  }
  states[buf] = state
  vim.api.nvim_create_autocmd({ 'InsertEnter', 'CursorMovedI', 'TextChangedI', 'TextChangedP' }, {
    group = group,
    buffer = buf,
    callback = function()
      follow(state)
    end,
  })
  vim.api.nvim_create_autocmd({ 'InsertLeave', 'BufLeave' }, {
    group = group,
    buffer = buf,
    callback = function()
      M.dismiss(buf)
      state.seen = ''
    end,
  })
end

---@param buf integer
function M.detach(buf)
  local state = states[buf]
  if state then
    M.dismiss(buf)
    states[buf] = nil
    state.timer:close()
    vim.api.nvim_del_augroup_by_id(state.group)
  end
end

--- Whether typing alone asks the server from now on.
---@param buf integer
---@param automatic boolean
function M.set_automatic(buf, automatic)
  local state = states[buf]
  if state then
    state.automatic = automatic
    if not automatic then
      M.dismiss(buf)
    end
  end
end

---@param buf integer
---@return boolean
function M.is_visible(buf)
  return states[buf] ~= nil and #states[buf].shown > 0
end

--- Hide what is shown and give up what was asked; the next keystroke asks again.
---@param buf integer
---@return boolean # whether anything was shown.
function M.dismiss(buf)
  local state = states[buf]
  if not state then
    return false
  end
  local visible = #state.shown > 0
  cancel(state)
  hide(state)
  return visible
end

--- Show what another has found, as if we had.
---@param buf integer
---@param suggestion dgemma.Suggestion
function M.adopt(buf, suggestion)
  local state = states[buf]
  if state then
    cancel(state)
    hide(state)
    state.shown = { suggestion }
  end
end

---@param state dgemma.Inline
---@param accepted dgemma.Suggestion
local function run_command(state, accepted)
  local client = accepted.command and vim.lsp.get_client_by_id(state.client_id)
  if client then
    client:exec_cmd(accepted.command, { bufnr = state.buf })
  end
end

--- Put the suggestion, or its beginning, into the buffer, in one undo step.
---@param buf integer
---@param part dgemma.Part
---@return boolean # whether there was one.
function M.accept(buf, part)
  local state = states[buf]
  local chosen = state and state.shown[state.index]
  local at = cursor()
  local rest = chosen and suggestions.rest(chosen, at)
  if not rest then
    return false
  end
  local accepted = suggestions.beginning(rest, part)
  cancel(state)
  hide(state)
  text.insert(buf, at.row, at.column, accepted)
  if accepted == rest then
    run_command(state, chosen)
  else
    state.shown = { suggestions.moved(chosen, rest:sub(#accepted + 1), cursor()) }
    draw(state)
  end
  return true
end

--- Ask for what there is, however sure the model is of it.
---@param buf integer
function M.trigger(buf)
  local state = states[buf]
  if state and is_inserting(buf) then
    ask(state, Trigger.INVOKED, first)
  end
end

---@param suggestion dgemma.Suggestion
---@return string
local function first_line(suggestion)
  return suggestion.before .. suggestion.text:match('^[^\n]*')
end

---@param shown string? The first line as it would be with what is shown now.
---@param step integer
---@return fun(found: dgemma.Suggestion[]): integer
local function beside(shown, step)
  return function(found)
    for index, one in ipairs(found) do
      if first_line(one) == shown then
        return (index - 1 + step) % #found + 1
      end
    end
    return 1
  end
end

--- Show another suggestion; the first time, the server is asked for all of them.
---@param buf integer
---@param step integer 1 for the next, -1 for the previous one.
---@param shown? string The first line as it would be with what another shows now.
function M.cycle(buf, step, shown)
  local state = states[buf]
  if not state or not is_inserting(buf) then
    return
  end
  if state.asked and #state.shown > 0 then
    state.index = (state.index - 1 + step) % #state.shown + 1
    draw(state)
    return
  end
  local chosen = state.shown[state.index]
  ask(state, Trigger.INVOKED, beside(chosen and first_line(chosen) or shown, step))
end

return M
