// node stylua.cjs LIBRARY [--write] FILE…: runs StyLua from its library for Node. It lists the files that it would
// change, and with --write it changes them. The style is that of editors/neovim/.stylua.toml.
const fs = require('node:fs');
const path = require('node:path');

const [library, ...rest] = process.argv.slice(2);
const { Config, IndentType, OutputVerification, QuoteStyle, formatCode } = require(library);

const toml = path.join(__dirname, '../../../editors/neovim/.stylua.toml');
const style = Object.fromEntries(
  fs
    .readFileSync(toml, 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(' = ').map((part) => part.replaceAll('"', ''))),
);

function config() {
  const chosen = Config.new();
  chosen.column_width = Number(style.column_width);
  chosen.indent_type = IndentType[style.indent_type];
  chosen.indent_width = Number(style.indent_width);
  chosen.quote_style = QuoteStyle[style.quote_style];
  return chosen;
}

const write = rest.includes('--write');
for (const file of rest.filter((name) => name !== '--write')) {
  const before = fs.readFileSync(file, 'utf8');
  const after = formatCode(before, config(), undefined, OutputVerification.Full);
  if (after === before) continue;
  console.log(file);
  if (write) fs.writeFileSync(file, after);
  else process.exitCode = 1;
}
