// Prints a package of node_modules as one script for a browser, which sets globalThis.NAME: PACKAGE NAME.
// Modules are of CommonJS, and each stays a function of its own, as Node makes it.
import {readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {isAbsolute} from 'node:path';

const [start, name] = process.argv.slice(2);
const modules = new Map();

function add(file) {
  if (modules.has(file)) return;
  const own = createRequire(file);
  const found = {};
  const text = readFileSync(file, 'utf8').replace(/^\/\/# sourceMappingURL=.*$/m, '');
  const code = file.endsWith('.json') ? `module.exports = ${text};` : text;
  modules.set(file, {code, found});
  for (const [, wanted] of code.matchAll(/\brequire\(['"]([^'"]+)['"]\)/g)) {
    // A package may have the name of one of Node's own modules: with a slash it is the package.
    const path = isAbsolute(own.resolve(wanted)) ? own.resolve(wanted) : own.resolve(`${wanted}/`);
    found[wanted] = path;
    add(path);
  }
}

const file = createRequire(import.meta.url).resolve(start);
add(file);
const functions = [...modules].map(
  ([path, {code, found}]) =>
    `${JSON.stringify(path)}: [${JSON.stringify(found)}, function (module, exports, require) {${code}\n}]`
);
process.stdout.write(`(() => {
const modules = {${functions.join(',\n')}};
const loaded = {};
function load(path) {
  if (!loaded[path]) {
    const [found, run] = modules[path];
    const module = (loaded[path] = {exports: {}});
    run.call(module.exports, module, module.exports, wanted => load(found[wanted]));
  }
  return loaded[path].exports;
}
globalThis.process ??= {env: {}};
globalThis.global ??= globalThis;
globalThis[${JSON.stringify(name)}] = load(${JSON.stringify(file)});
})();
`);
