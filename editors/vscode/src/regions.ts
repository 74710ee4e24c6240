// Offsets of text that changes. Knows nothing of VS Code; offsets count UTF-16 units, as VS Code does.

/** What stands between two offsets becomes another text. */
export interface Change {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

export interface Region {
  readonly start: number;
  readonly end: number;
}

/** The text with all changes made. They are sorted and do not overlap. */
export function changed(text: string, changes: readonly Change[]): string {
  const pieces: string[] = [];
  let done = 0;
  for (const change of changes) {
    pieces.push(text.slice(done, change.start), change.text);
    done = change.end;
  }
  return pieces.join('') + text.slice(done);
}

/** Where the new texts lie once all changes are made. */
export function regionsAfter(changes: readonly Change[]): Region[] {
  let grown = 0;
  return changes.map(({ start, end, text }) => {
    const region = { start: start + grown, end: start + grown + text.length };
    grown += text.length - (end - start);
    return region;
  });
}

/** Changes that are still to be made, after somebody has made another one; undefined when they can no longer be made. */
export function rebased(changes: readonly Change[], made: Change): Change[] | undefined {
  const moved = changes.map((change) => {
    const region = moveOutside(change, made);
    return region && { ...region, text: change.text };
  });
  return moved.includes(undefined) ? undefined : (moved as Change[]);
}

/** A region after somebody has typed: in it, it grows; around it, it moves; across its border, it is lost. */
export function followed(region: Region, made: Change): Region | undefined {
  const inside = region.start <= made.start && made.end <= region.end;
  return inside ? { start: region.start, end: region.end + growth(made) } : moveOutside(region, made);
}

function moveOutside(region: Region, made: Change): Region | undefined {
  if (made.end <= region.start) return { start: region.start + growth(made), end: region.end + growth(made) };
  return made.start >= region.end ? { start: region.start, end: region.end } : undefined;
}

function growth(made: Change): number {
  return made.text.length - (made.end - made.start);
}
