/** Of the report: both themes, by what the reader's system prefers. */
export const reportStyle = `
:root{--back:#fff;--text:#1c2024;--soft:#60646c;--line:#e1e4e8;--panel:#f6f7f9;--good:#0f7b4f;--good-back:#e9f7f0;--bad:#b42318;--bad-back:#fdeeec;
--held:#c026d3;--rehost:#cfe0fc;--replatform:#fbe3c0;--proof:#d3efdf;--c0:#2563eb;--c1:#d97706;--c2:#0f8a5f;--c3:#9333ea}
@media (prefers-color-scheme:dark){:root{--back:#14171a;--text:#e6e8eb;--soft:#9aa1a9;--line:#2c3238;--panel:#1c2024;--good:#4cc38a;--good-back:#12281d;
--bad:#ff8f80;--bad-back:#331714;--held:#e879f9;--rehost:#1d3a66;--replatform:#5c3f12;--proof:#1c4732;--c0:#6ea8fe;--c1:#f5a94a;--c2:#4cc38a;--c3:#c084fc}}
*{box-sizing:border-box}
body{font:15px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif;max-width:1120px;margin:0 auto;padding:2rem 1.2rem 4rem;color:var(--text);background:var(--back)}
h1{font-size:1.7rem;line-height:1.2;margin:0 0 1rem}h2{font-size:1.15rem;margin:2.4rem 0 .6rem}
.clean,.dirty{margin:0;padding:.7rem 1rem;border-left:4px solid var(--good);background:var(--good-back);font-size:1.05rem}
.dirty{border-color:var(--bad);background:var(--bad-back)}
.figures{list-style:none;display:grid;grid-template-columns:repeat(auto-fit,minmax(170px,1fr));gap:.8rem;padding:0;margin:1.2rem 0 0}
.figures li{background:var(--panel);border-radius:8px;padding:.7rem .9rem;color:var(--soft);font-size:.85rem;line-height:1.35}
.figures b{display:block;font-size:1.45rem;color:var(--text);font-variant-numeric:tabular-nums}
.key,.note{color:var(--soft);font-size:.85rem;margin:.2rem 0 .5rem}.key i{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin:0 .35em 0 .9em;vertical-align:-.05em}
.key i:first-child{margin-left:0}i.rehost{background:var(--rehost)}i.replatform{background:var(--replatform)}i.proof{background:var(--proof)}i.held{background:var(--held)}
figure{margin:1.1rem 0 0}figcaption{font-size:.95rem}figcaption span{color:var(--soft);font-size:.85rem;margin-left:.4rem}
.legend i{display:inline-block;width:1em;height:3px;margin:0 .35em 0 .8em;vertical-align:.25em}
svg{display:block;width:100%;height:auto;font-size:12px;fill:var(--soft)}polyline{fill:none;stroke-width:1.6;stroke-linejoin:round}
.ribbon text{fill:var(--text);font-size:11px}rect.rehost{fill:var(--rehost)}rect.replatform{fill:var(--replatform)}rect.proof{fill:var(--proof)}
.grid{stroke:var(--line);stroke-width:1}.pause{fill:var(--held);opacity:.45}.mark{fill:var(--held);font-weight:600}
.series-0{stroke:var(--c0)}.series-1{stroke:var(--c1)}.series-2{stroke:var(--c2)}.series-3{stroke:var(--c3)}
.swatch-0{background:var(--c0)}.swatch-1{background:var(--c1)}.swatch-2{background:var(--c2)}.swatch-3{background:var(--c3)}
.wide{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.92rem}
th,td{border-bottom:1px solid var(--line);padding:.28rem .9rem;text-align:right;white-space:nowrap}th:first-child,td.text{text-align:left}th:first-child{padding-left:0}
tr:first-child th{color:var(--soft);font-weight:600}tbody tr th{font-weight:400}.sum th,.sum td{font-weight:650}td.text{white-space:normal}.judges th{text-align:left}td:first-child{padding-left:0}
ol{padding-left:2.6rem}li::marker{color:var(--soft);font-variant-numeric:tabular-nums}
details{margin-top:2rem}summary{cursor:pointer;color:var(--soft)}pre{background:var(--panel);padding:1rem;overflow:auto;font-size:.8rem;border-radius:8px}
`
