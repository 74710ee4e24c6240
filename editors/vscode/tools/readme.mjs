// The README without its pictures, for the package: the page of an installed extension shows those of websites only.
// The walkthrough has them, from the package.

const PICTURE = /!\[([^\]]*)\]\([^)]+\)/g;

export function withoutPictures(text) {
  return text.replaceAll(PICTURE, (_, words) => `*${words}: to be seen by the command dgemma: Open the Walkthrough.*`);
}
