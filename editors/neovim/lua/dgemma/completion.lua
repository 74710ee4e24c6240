--- Completions as the user meets them, whoever draws them: Neovim (`dgemma.core`) or this plugin (`dgemma.inline`).
local config = require('dgemma.config')
local core = require('dgemma.core')
local inline = require('dgemma.inline')

local M = {}

---@class dgemma.Completion
---@field client_id integer
---@field by_core boolean Neovim shows what comes while the user types.
---@field taken_over boolean … but not now: `dgemma.inline` does, until insert mode ends.
---@field paused boolean

---@type table<integer, dgemma.Completion>
local states = {}

local all_paused = false

---@type table<string, true> By 'filetype'.
local paused_languages = {}

---@param buf integer
---@param state dgemma.Completion
local function settle(buf, state)
  local automatic = not M.is_paused(buf) and config.get().ghost_text ~= 'off'
  local by_core = state.by_core and not state.taken_over
  if state.by_core then
    core.enable(buf, automatic and by_core)
  end
  inline.set_automatic(buf, automatic and not by_core)
end

---@param buf integer
---@param client vim.lsp.Client
function M.attach(buf, client)
  local state = { client_id = client.id, by_core = config.uses_core(), taken_over = false, paused = false }
  states[buf] = state
  inline.attach(buf, client.id, false)
  settle(buf, state)
  -- Who is typing already is not to type once more before something is asked for.
  if vim.api.nvim_get_current_buf() == buf and vim.startswith(vim.api.nvim_get_mode().mode, 'i') then
    vim.api.nvim_exec_autocmds('CursorMovedI', { buffer = buf, modeline = false })
  end
  if state.by_core then
    vim.api.nvim_create_autocmd('InsertLeave', {
      group = vim.api.nvim_create_augroup('dgemma.completion:' .. buf, {}),
      buffer = buf,
      callback = function()
        if state.taken_over then
          state.taken_over = false
          settle(buf, state)
        end
      end,
    })
  end
end

---@param buf integer
---@param client vim.lsp.Client After a restart the next one may be there before this one has left.
function M.detach(buf, client)
  local state = states[buf]
  if state and state.client_id == client.id then
    states[buf] = nil
    inline.detach(buf)
    if state.by_core then
      vim.api.nvim_del_augroup_by_name('dgemma.completion:' .. buf)
    end
  end
end

---@param buf integer
local function take_over(buf)
  local state = states[buf]
  if state and state.by_core and not state.taken_over then
    state.taken_over = true
    settle(buf, state)
  end
end

---@param buf integer
---@return boolean
function M.is_visible(buf)
  return inline.is_visible(buf) or (states[buf] ~= nil and states[buf].by_core and core.is_visible(buf))
end

---@param buf integer
---@param part dgemma.Part
---@return boolean
function M.accept(buf, part)
  if inline.is_visible(buf) then
    return inline.accept(buf, part)
  end
  local state = states[buf]
  return state ~= nil and state.by_core and core.accept(buf, part, function()
    take_over(buf)
  end)
end

---@param buf integer
---@return boolean
function M.dismiss(buf)
  local state = states[buf]
  local by_core = state ~= nil and state.by_core and core.dismiss(buf)
  return inline.dismiss(buf) or by_core
end

---@param buf integer
function M.trigger(buf)
  take_over(buf)
  inline.trigger(buf)
end

---@param buf integer
---@param step integer
function M.cycle(buf, step)
  local shown = states[buf] ~= nil and states[buf].by_core and core.shown(buf) or nil
  take_over(buf)
  inline.cycle(buf, step, shown)
end

--- Whether nothing comes by itself; who asks is answered all the same.
---@param buf integer
---@return boolean
function M.is_paused(buf)
  local state = states[buf]
  return all_paused or paused_languages[vim.bo[buf].filetype] or (state ~= nil and state.paused)
end

local function settle_all()
  for buf, state in pairs(states) do
    settle(buf, state)
  end
end

--- Pause or resume in a buffer.
---@param buf integer
---@param paused boolean
function M.pause(buf, paused)
  local state = states[buf]
  if state then
    state.paused = paused
    settle(buf, state)
  end
end

--- Pause or resume in a language; a buffer that was paused by itself stays so.
---@param language string A 'filetype'.
---@param paused boolean
function M.pause_language(language, paused)
  paused_languages[language] = paused or nil
  settle_all()
end

--- Pause or resume everywhere; a buffer or a language that was paused by itself stays so.
---@param paused boolean
function M.pause_all(paused)
  all_paused = paused
  settle_all()
end

return M
