// Reads a list of AsyncAPI documents on standard input with AsyncAPI's own parser and says what it thinks of each, as JSON:
// `problems` (errors and warnings) and, of a document that holds, its operations.
import { readFileSync } from 'node:fs';
import { Parser } from '@asyncapi/parser';
import { ProtoBuffSchemaParser } from '@asyncapi/protobuf-schema-parser';

const parser = new Parser();
parser.registerSchemaParser(ProtoBuffSchemaParser());
// Of a payload in protobuf the parser makes a schema, too.
const fields = (message) => {
  const payload = message.payload()?.json() ?? {};
  return Object.keys((payload.schema ?? payload).properties ?? {}).sort();
};

const judge = async (text) => {
  const { document, diagnostics } = await parser.parse(text);
  // 0 = error, 1 = warning; hints (a newer version of the standard) are no problem.
  const problems = diagnostics
    .filter(({ severity }) => severity < 2)
    .map(({ code, message, path }) => `${code}: ${message} at ${path.join('/')}`);
  const operations = (document?.operations().all() ?? []).map((operation) => ({
    id: operation.id(),
    action: operation.action(),
    address: operation.channels().all()[0]?.address(),
    payloads: operation.messages().all().map(fields),
  }));
  return { problems, operations };
};

const judged = [];
for (const document of JSON.parse(readFileSync(0, 'utf8'))) judged.push(await judge(JSON.stringify(document)));
console.log(JSON.stringify(judged));
