--- What the user chooses in `vim.g.dgemma`; what the server is to do stands in `init_options` of `vim.lsp.config`.
local M = {}

---@alias dgemma.GhostText 'auto'|'core'|'own'|'off'

---@alias dgemma.PreviewKey 'accept'|'reject'|'take'|'skip'|'next'|'previous'

---@class dgemma.Config
---@field cmd string[] How the server is started.
---@field ghost_text dgemma.GhostText Who shows completions: Neovim 0.12 or newer ("core"), this plugin, nobody.
---@field debounce integer Milliseconds without a keystroke before a completion is asked for ("own" only).
---@field drafts boolean Whether an edit is shown while it is computed.
---@field preview_keys table<dgemma.PreviewKey, string|false> Of normal mode, while a preview is shown.

---@type dgemma.Config
local defaults = {
  cmd = { 'dgemma-lsp', '--stdio' },
  ghost_text = 'auto',
  debounce = 50,
  drafts = true,
  preview_keys = {
    accept = '<CR>',
    reject = '<Esc>',
    take = 'y',
    skip = 'n',
    next = '<Tab>',
    previous = '<S-Tab>',
  },
}

local types = {
  cmd = 'table',
  ghost_text = 'string',
  debounce = 'number',
  drafts = 'boolean',
  preview_keys = 'table',
}

--- What is wrong with the user's choices, a sentence for each.
---@return string[]
function M.problems()
  local problems = {}
  for name, value in pairs(vim.g.dgemma or {}) do
    if types[name] == nil then
      table.insert(problems, ('There is no option %s in vim.g.dgemma.'):format(name))
    elseif type(value) ~= types[name] then
      table.insert(problems, ('Option %s in vim.g.dgemma must be a %s.'):format(name, types[name]))
    end
  end
  return problems
end

---@return dgemma.Config
function M.get()
  local chosen = {}
  for name, value in pairs(vim.g.dgemma or {}) do
    if type(value) == types[name] then
      chosen[name] = value
    end
  end
  local config = vim.tbl_extend('force', defaults, chosen)
  config.preview_keys = vim.tbl_extend('force', defaults.preview_keys, config.preview_keys)
  return config
end

--- Whether Neovim's own ghost text is to be used.
---@return boolean
function M.uses_core()
  local wanted = M.get().ghost_text
  return (wanted == 'auto' or wanted == 'core') and vim.lsp.inline_completion ~= nil
end

return M
