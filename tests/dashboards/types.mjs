// Writes the dashboards as TypeScript, each part with the type that Grafana gives it: node types.mjs FOLDER OUTPUT

import { readFileSync, writeFileSync } from 'node:fs';

const [folder, output] = process.argv.slice(2);
const SCHEMA = './node_modules/@grafana/schema/dist/types/raw';
/** A panel's type, and the folder that Grafana keeps its options' types in. */
const PANELS = { heatmap: 'heatmap', stat: 'stat', table: 'table', timeseries: 'timeseries', 'state-timeline': 'statetimeline', bargauge: 'bargauge' };
const WITH_FIELDS = ['heatmap', 'timeseries', 'state-timeline', 'table'];

const lines = [`import type { Dashboard, Panel, RowPanel } from '${SCHEMA}/dashboard/x/types.gen';`];
for (const kind of Object.values(PANELS)) lines.push(`import type * as ${kind} from '${SCHEMA}/composable/${kind}/panelcfg/x/types.gen';`);
// Words of an enumeration are written as words.
lines.push('type Said<T> = T extends string ? `${T}` : T extends (infer U)[] ? Said<U>[] : T extends object ? { [K in keyof T]: Said<T[K]> } : T;');

let count = 0;
const hold = (type, value) => lines.push(`const _${count++}: Said<${type}> = ${JSON.stringify(value, null, 1)};`);
const without = (object, ...names) => Object.fromEntries(Object.entries(object).filter(([name]) => !names.includes(name)));

for (const name of ['fleet', 'camera']) {
  const dashboard = JSON.parse(readFileSync(`${folder}/${name}.json`, 'utf8'));
  // These fields are a data source's own: the types know those of no particular one.
  const templating = { list: dashboard.templating.list.map((variable) => without(variable, 'definition')) };
  const annotations = { list: dashboard.annotations.list.map((query) => without(query, 'expr', 'step', 'titleFormat', 'useValueForTime')) };
  hold("Omit<Dashboard, 'panels' | 'id'>", { ...without(dashboard, 'panels', 'id'), templating, annotations });
  for (const panel of dashboard.panels) {
    if (panel.type === 'row') {
      hold('RowPanel', panel);
      continue;
    }
    hold('Panel', panel);
    hold(`Partial<${PANELS[panel.type]}.Options>`, panel.options);
    if (WITH_FIELDS.includes(panel.type)) hold(`Partial<${PANELS[panel.type]}.FieldConfig>`, panel.fieldConfig.defaults.custom);
  }
}
writeFileSync(output, `${lines.join('\n')}\n`);
