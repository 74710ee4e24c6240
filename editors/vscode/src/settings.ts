// The user's settings, as the server and as this extension read them.

import { type ExtensionContext, Uri, workspace } from 'vscode';

export const SECTION = 'dgemma';

/** Settings below these names are about VS Code; the server does not know them. */
const OURS = ['server.', 'editor.'];

export type Preview = 'rewrites' | 'everything' | 'nothing';

/** The settings that the server is told: those that somebody has chosen, and those that were told before. */
export class ServerSettings {
  private readonly names: readonly string[];
  private readonly told = new Set<string>();

  constructor(context: ExtensionContext) {
    this.names = serverNames(context.extension.packageJSON as Manifest);
  }

  /** As an object like {automatic: {minConfidence: 0.5}}. */
  collect(): Record<string, unknown> {
    const chosen = workspace.getConfiguration(SECTION);
    const tree: Record<string, unknown> = {};
    for (const name of this.names) {
      // A default of ours must not hide what a project's own file says; but who takes a choice back must be heard.
      if (!this.told.has(name) && !isChosen(name)) continue;
      this.told.add(name);
      plant(tree, name.split('.'), chosen.get(name));
    }
    return tree;
  }
}

interface Manifest {
  readonly contributes: { readonly configuration: { readonly properties: Readonly<Record<string, unknown>> } };
}

function serverNames(manifest: Manifest): string[] {
  return Object.keys(manifest.contributes.configuration.properties)
    .map((name) => name.slice(SECTION.length + 1))
    .filter((name) => !OURS.some((prefix) => name.startsWith(prefix)));
}

function isChosen(name: string): boolean {
  const places = workspace.getConfiguration(SECTION).inspect(name);
  const values = [places?.globalValue, places?.workspaceValue, places?.workspaceFolderValue];
  return values.some((value) => value !== undefined);
}

function plant(tree: Record<string, unknown>, [name = '', ...rest]: readonly string[], value: unknown): void {
  if (rest.length === 0) tree[name] = value;
  else plant((tree[name] ??= {}) as Record<string, unknown>, rest, value);
}

export function isEnabled(): boolean {
  return workspace.getConfiguration(SECTION).get('enable', true);
}

export function preview(): Preview {
  return workspace.getConfiguration(SECTION).get<Preview>('editor.preview', 'rewrites');
}

export function showsDrafts(): boolean {
  return workspace.getConfiguration(SECTION).get('editor.drafts', true);
}

/** The words of dgemma.server.command; what is no list of words counts as none, and VS Code marks it as wrong. */
export function serverCommand(): string[] {
  const words: unknown = workspace.getConfiguration(SECTION).get('server.command');
  return Array.isArray(words) ? words.filter((word): word is string => typeof word === 'string') : [];
}

/** The first folder that is open. */
export function workspaceFolder(): string | undefined {
  return workspace.workspaceFolders?.find(({ uri }) => uri.scheme === Uri.file('/').scheme)?.uri.fsPath;
}
