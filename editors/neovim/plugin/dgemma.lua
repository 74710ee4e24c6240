-- The names a user sees: commands, <Plug> maps, highlights. Everything behind them is loaded when it is first used.

if vim.g.loaded_dgemma then
  return
end
vim.g.loaded_dgemma = true

vim.api.nvim_create_user_command('Dgemma', function(given)
  require('dgemma.command').run(given)
end, {
  nargs = '*',
  range = true,
  bang = true,
  desc = 'Fill, rewrite, pause, restart … (:help dgemma-commands)',
  complete = function(lead, line)
    return require('dgemma.command').complete(lead, line)
  end,
})

---@param mode string
---@param names string[]
local function plug(mode, names)
  for _, name in ipairs(names) do
    local call = ('<Cmd>lua require("dgemma").%s()<CR>'):format(name)
    -- Leaving visual mode sets the marks that say what was selected.
    local keys = mode == 'x' and '<Esc>' .. call:gsub('%(%)', '({ selection = true })') or call
    vim.keymap.set(mode, ('<Plug>(dgemma-%s)'):format((name:gsub('_', '-'))), keys, { desc = 'dgemma: ' .. name })
  end
end

plug('i', { 'accept', 'accept_word', 'accept_line', 'next', 'previous', 'dismiss', 'trigger' })
plug('n', { 'accept', 'dismiss', 'take', 'skip', 'next_region', 'previous_region' })
plug('n', { 'rewrite', 'instruct', 'holes', 'function_holes', 'block', 'arguments', 'document' })
plug('n', { 'proofread' })
plug('n', { 'pause', 'resume', 'toggle' })
plug('x', { 'rewrite', 'instruct' })

for name, target in pairs({
  DgemmaGhost = 'NonText',
  DgemmaHint = 'MoreMsg',
  DgemmaAdd = 'DiffAdd',
  DgemmaDraft = 'DiffText',
  DgemmaDelete = 'DiffDelete',
}) do
  vim.api.nvim_set_hl(0, name, { link = target, default = true })
end

local group = vim.api.nvim_create_augroup('dgemma', {})

---@param event string
---@param handler string A function of dgemma.attach.
local function on_client_event(event, handler)
  vim.api.nvim_create_autocmd(event, {
    group = group,
    callback = function(args)
      local client = vim.lsp.get_client_by_id(args.data.client_id)
      if client and client.name == 'dgemma' then
        require('dgemma.attach')[handler](args.buf, client)
      end
    end,
  })
end

on_client_event('LspAttach', 'attach')
on_client_event('LspDetach', 'detach')
