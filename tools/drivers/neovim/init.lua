-- What a user's init.lua would contain; NVIM_TEST_CHOICES holds what a test wants to be different.
local test = vim.json.decode(vim.env.NVIM_TEST_CHOICES)

vim.opt.swapfile = false
-- The text is exactly what was typed.
vim.opt.autoindent = false
vim.cmd('filetype indent off')
vim.g.dgemma = { cmd = test.cmd, ghost_text = test.ghost_text, drafts = test.drafts }

vim.lsp.config('dgemma', {
  filetypes = test.filetypes,
  init_options = test.init_options,
  capabilities = { general = { positionEncodings = test.encodings or { 'utf-8' } } },
})
vim.lsp.enable('dgemma')

local function map(mode, key, plug)
  vim.keymap.set(mode, key, ('<Plug>(dgemma-%s)'):format(plug))
end

vim.keymap.set('i', '<Tab>', function()
  return require('dgemma').visible() and '<Plug>(dgemma-accept)' or '<Tab>'
end, { expr = true, remap = true })
map('i', '<C-f>', 'accept-word')
map('i', '<C-l>', 'accept-line')
map('i', '<C-j>', 'next')
map('i', '<C-k>', 'previous')
map('i', '<C-e>', 'dismiss')
map('i', '<C-b>', 'trigger')
map('x', 'gR', 'rewrite')
if test.statusline ~= false then
  vim.o.statusline = "%{%v:lua.require'dgemma'.status()%}"
end
vim.o.laststatus = 2
-- Linked to NonText, ghost text would look like the lines below the end of a buffer.
vim.api.nvim_set_hl(0, 'ComplHint', { fg = '#8f9bb3', italic = true })
vim.api.nvim_set_hl(0, 'DgemmaGhost', { fg = '#8f9bb3', italic = true })
