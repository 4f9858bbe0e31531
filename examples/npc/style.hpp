//! The style sheet of the report: one palette for light, one for dark.
#pragma once

namespace npc {

inline constexpr const char *STYLE = R"css(
:root { color-scheme: light dark; --paper: #fbf8f3; --card: #ffffff; --ink: #26211b; --soft: #6d645a; --faint: #e9e2d8;
  --good: #2e7d4f; --good-back: #dcf1e3; --bad: #b3372c; --bad-back: #fbe1dd; --fire: #c2560c; --fire-back: #ffe6cc;
  --plain-back: #eeebe6; --sft: #2f6fb5; --dpo: #7a4fb0; --ppo: #d3651b; --second: #2e8b77; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #191613; --card: #221e1a; --ink: #efe8df; --soft: #a89d90; --faint: #3a342d;
    --good: #7fd19f; --good-back: #1d3b29; --bad: #f39a8e; --bad-back: #4a221d; --fire: #ffb066; --fire-back: #4d2e10;
    --plain-back: #322d27; --sft: #79b0ee; --dpo: #b896e8; --ppo: #f7944a; --second: #6fc9b4; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 44px 24px 72px; }
h1 { font: 600 40px/1.15 Georgia, "Times New Roman", serif; margin: 0 0 14px; letter-spacing: -0.01em; }
h2 { font: 600 24px/1.25 Georgia, "Times New Roman", serif; margin: 56px 0 6px; }
h3 { font-size: 14px; font-weight: 600; margin: 0 0 2px; }
p { margin: 0 0 12px; max-width: 860px; }
.kicker { color: var(--ppo); font-weight: 600; font-size: 13px; letter-spacing: .08em; text-transform: uppercase; margin-bottom: 10px; }
.lead { font-size: 18px; color: var(--ink); }
.soft, figcaption { color: var(--soft); font-size: 14px; }
.tiles { display: grid; grid-template-columns: repeat(4, 1fr); gap: 14px; margin: 32px 0 0; }
@media (max-width: 900px) { .tiles { grid-template-columns: repeat(2, 1fr); } }
.tile, .card { background: var(--card); border: 1px solid var(--faint); border-radius: 12px; }
.tile { padding: 16px 18px 14px; }
.tile b { display: block; font: 600 32px/1.15 Georgia, serif; font-variant-numeric: tabular-nums; white-space: nowrap; }
.tile span { display: block; font-size: 14px; line-height: 1.35; margin-top: 4px; }
.tile i { display: block; font-style: normal; font-size: 12.5px; color: var(--soft); margin-top: 6px; }
.tile i::before { content: "✓ "; color: var(--good); font-weight: 700; }
.tile.missed i::before { content: "✗ "; color: var(--bad); }
.tile.plain i::before { content: ""; }
.traits { display: grid; grid-template-columns: repeat(4, 1fr); gap: 14px; margin-top: 18px; }
@media (max-width: 900px) { .traits { grid-template-columns: repeat(2, 1fr); } }
.trait { padding: 14px 18px 16px; }
.bar { display: grid; grid-template-columns: 74px 1fr 44px; gap: 8px; align-items: center; font-size: 13px; margin-top: 8px; }
.bar em { font-style: normal; color: var(--soft); white-space: nowrap; }
.bar b { text-align: right; font-weight: 600; font-variant-numeric: tabular-nums; }
.bar u { display: block; height: 12px; border-radius: 6px; background: var(--faint); overflow: hidden; }
.bar s { display: block; height: 100%; border-radius: 6px; background: var(--tone); }
.untrained { --tone: var(--soft); } .sft { --tone: var(--sft); } .dpo { --tone: var(--dpo); } .ppo { --tone: var(--ppo); }
.charts { display: grid; grid-template-columns: repeat(2, 1fr); gap: 14px; margin-top: 16px; }
.charts.three { grid-template-columns: repeat(3, 1fr); }
@media (max-width: 900px) { .charts, .charts.three { grid-template-columns: 1fr; } }
figure { margin: 0; padding: 14px 16px 8px; }
svg { display: block; width: 100%; height: auto; font-family: inherit; }
.badge { display: inline-block; color: var(--card); background: var(--tone); border-radius: 6px; padding: 1px 8px; margin-right: 10px;
  font: 600 13px/1.6 system-ui, sans-serif; vertical-align: 4px; letter-spacing: .04em; }
.grid { stroke: var(--faint); } .axis { stroke: var(--soft); stroke-opacity: .6; }
.tick, .note { fill: var(--soft); font-size: 11.5px; } .note { font-style: italic; }
.right { text-anchor: end; } .middle { text-anchor: middle; }
.value { fill: var(--ink); font-size: 13px; font-weight: 600; paint-order: stroke; stroke: var(--card); stroke-width: 4px; }
.shade { fill: var(--plain-back); }
.line { fill: none; stroke-width: 2.4; stroke-linejoin: round; stroke-linecap: round; }
.raw { stroke-width: 1; fill: none; stroke-opacity: .45; }
.line0 { stroke: var(--tone); } .line1 { stroke: var(--second); } .line2 { stroke: var(--soft); }
.dot0, .end0 { fill: var(--tone); } .dot1, .end1 { fill: var(--second); } .dot2, .end2 { fill: var(--soft); }
.hover { fill: transparent; } .hover:hover { fill: var(--ink); fill-opacity: .25; }
.scroll { overflow-x: auto; margin-top: 16px; }
table { border-collapse: collapse; table-layout: fixed; width: 100%; min-width: 900px; font-size: 14.5px; line-height: 1.75; }
th { text-align: left; font-size: 13px; color: var(--soft); font-weight: 600; padding: 12px 14px 8px; border-bottom: 1px solid var(--faint); }
td { vertical-align: top; padding: 12px 14px; border-bottom: 1px solid var(--faint); }
tr:last-child td { border-bottom: 0; }
td .who { display: block; color: var(--soft); font-size: 12.5px; line-height: 1.5; }
mark { color: inherit; background: var(--plain-back); border-radius: 4px; padding: 1px 4px; box-decoration-break: clone; -webkit-box-decoration-break: clone; }
mark.good { background: var(--good-back); color: var(--good); }
mark.bad { background: var(--bad-back); color: var(--bad); text-decoration: underline dashed; text-decoration-thickness: 1px; text-underline-offset: 3px; }
mark.fire { background: var(--fire-back); color: var(--fire); font-weight: 600; }
mark.odd { background: none; color: var(--bad); text-decoration: underline wavy; text-decoration-thickness: 1px; }
.legend { display: flex; flex-wrap: wrap; gap: 8px 18px; font-size: 13.5px; margin-top: 10px; }
.marks { display: block; color: var(--soft); font-size: 12px; margin-top: 4px; }
footer { margin-top: 48px; padding-top: 16px; border-top: 1px solid var(--faint); color: var(--soft); font-size: 13.5px; }
)css";

}  // namespace npc
