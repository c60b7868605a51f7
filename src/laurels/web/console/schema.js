// Forms made from a JSON Schema: an editor for each kind of value. Each has its element, reads its value, and knows
// the control that a JSON Pointer (RFC 6901) leads to, so that what is wrong is said there.

import { button, labelled, make, readNumber } from "./dom.js";

/** Return an editor of a value by its schema; undefined is a value that is left out. */
export function edit(schema, schemas, title, value, about = schema.description) {
  const [kind, isNullable] = resolve(schema, schemas);
  if (kind.enum) return choice(kind, title, value, about);
  if (kind.type === "object" && kind.properties) return group(kind, schemas, title, value, about, isNullable);
  if (kind.type === "object") return pairs(kind, schemas, title, value, about);
  if (kind.type === "array") return list(kind, schemas, title, value, about);
  if (kind.type === "boolean") return check(title, value, about);
  return line(kind, title, value, about, isNullable);
}

/** Return what a schema says without references, and whether it may be null instead. */
function resolve(schema, schemas) {
  const choices = schema.anyOf || schema.allOf || [schema];
  const kinds = choices.filter((each) => each.type !== "null");
  let kind = kinds[0];
  if (kind.$ref) kind = schemas[kind.$ref.split("/").pop()];
  const types = [kind.type].flat();
  const isNullable = kinds.length < choices.length || types.includes("null");
  return [{ ...schema, ...kind, type: types.filter((each) => each !== "null")[0] }, isNullable];
}

const words = (name) => name.charAt(0).toUpperCase() + name.slice(1).replaceAll("_", " ");

function choice(kind, title, value, about) {
  const first = value === undefined ? [make("option", { value: "" }, "as the service has it by default")] : [];
  const options = kind.enum.map((each) => make("option", { selected: each === value }, each));
  const control = make("select", {}, first, options);
  return {
    element: labelled(title, control, plain(about)),
    read: () => control.value || undefined,
    find: () => control,
  };
}

function check(title, value, about) {
  const control = make("input", { type: "checkbox", checked: value });
  return { element: labelled(title, control, plain(about)), read: () => control.checked, find: () => control };
}

/** One line: a number, or a text. */
function line(kind, title, value, about, isNullable) {
  const isNumber = kind.type === "number" || kind.type === "integer";
  const control = make("input", {
    value: value ?? "",
    inputmode: isNumber ? "decimal" : null,
    maxlength: kind.maxLength,
    autocomplete: "off",
    spellcheck: "false",
    placeholder: kind.examples ? `such as ${kind.examples[0]}` : null,
  });
  return {
    element: labelled(title, control, plain(about)),
    read() {
      if (control.value.trim() === "") return isNullable ? null : undefined;
      return isNumber ? readNumber(control) : control.value;
    },
    find: () => control,
  };
}

/** The fields of an object; if it may be null, it is there only if that is checked. */
function group(kind, schemas, title, value, about, isNullable) {
  const has = value ?? {};
  const fields = Object.entries(kind.properties).map(([name, of]) => [name, edit(of, schemas, words(name), has[name])]);
  const inner = make("div", {}, fields.map(([, editor]) => editor.element));
  const there = make("input", { type: "checkbox", checked: value !== null && value !== undefined });
  const toggle = isNullable ? labelled(`With ${title.toLowerCase()}`, there) : null;
  const follow = () => {
    inner.hidden = isNullable && !there.checked;
  };
  there.addEventListener("change", follow);
  follow();
  const legend = make("legend", {}, title);
  return {
    element: make("fieldset", {}, legend, about ? make("p", { class: "hint" }, plain(about)) : null, toggle, inner),
    read() {
      if (isNullable && !there.checked) return null;
      const read = fields.map(([name, editor]) => [name, editor.read()]);
      return Object.fromEntries(read.filter(([, each]) => each !== undefined));
    },
    find([name, ...rest]) {
      const found = fields.find(([each]) => each === name);
      return found ? found[1].find(rest) : isNullable ? there : fields[0][1].find([]);
    },
  };
}

/** Rows that can be added and removed, at most as many as the schema allows. */
function rows(title, about, made, most, makeRow) {
  const all = [];
  const body = make("div");
  const add = button(`Add to ${title.toLowerCase()}`, () => {
    append().focus();
  });
  function append(...values) {
    const number = all.length + 1;
    const row = makeRow(number, ...values);
    all.push(row);
    const remove = button("Remove", () => {
      all.splice(all.indexOf(row), 1);
      element.remove();
      add.hidden = false;
      add.focus();
    }, { "aria-label": `Remove ${number} of ${title.toLowerCase()}` });
    const element = make("div", { class: "row" }, row.elements, remove);
    body.append(element);
    add.hidden = most !== undefined && all.length >= most;
    return row.find([]);
  }
  made.forEach((values) => append(...values));
  const hint = about ? make("p", { class: "hint" }, plain(about)) : null;
  return { element: make("fieldset", {}, make("legend", {}, title), hint, body, add), all, add };
}

function list(kind, schemas, title, value, about) {
  const makeRow = (number, each) => {
    const editor = edit(kind.items, schemas, `${title}, ${number}`, each, "");
    return { ...editor, elements: [editor.element] };
  };
  const { element, all, add } = rows(title, about, (value ?? []).map((each) => [each]), kind.maxItems, makeRow);
  return {
    element,
    read: () => all.map((each) => each.read()).filter((each) => each !== undefined),
    find: ([place, ...rest]) => all[place ?? 0]?.find(rest) ?? add,
  };
}

/** An object of any names, each with a value of one kind. */
function pairs(kind, schemas, title, value, about) {
  const makeRow = (_, name, each) => {
    const key = edit({ type: "string", ...kind.propertyNames, anyOf: undefined }, schemas, "Of", name, "");
    const editor = edit(kind.additionalProperties, schemas, "Value", each, "");
    return { elements: [key.element, editor.element], key, find: () => key.find([]), value: editor };
  };
  const { element, all, add } = rows(title, about, Object.entries(value ?? {}), kind.maxProperties, makeRow);
  return {
    element,
    read: () => Object.fromEntries(all.map((each) => [each.key.read(), each.value.read()]).filter(([name]) => name)),
    find([name]) {
      const found = all.find((each) => each.key.read() === name);
      return found ? found.value.find([]) : (all[0]?.key.find([]) ?? add);
    },
  };
}

/** A description without its backquotes. */
function plain(text) {
  return text ? text.replaceAll("`", "") : "";
}

/** The parts of a JSON Pointer. */
export function parts(pointer) {
  return pointer.split("/").slice(1).map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"));
}
