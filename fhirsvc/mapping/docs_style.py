"""How the page of ``map docs`` looks: readable on paper, on a phone, and without a mouse."""

STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#57606a;--line:#d5dae1;--back:#fff;
--band:#f4f6f8;--link:#0b57a4;--no:#8a4b00}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ee;--soft:#a3acb8;--line:#3a414b;
--back:#14171b;--band:#1d2127;--link:#7ab8ff;--no:#f0b36a}}
*{box-sizing:border-box}
body{margin:0;font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--back)}
header,main,footer{max-width:72rem;margin:0 auto;padding:1rem}
h1{font-size:1.8rem;margin:.5rem 0}
h2{font-size:1.35rem;margin:2.5rem 0 .25rem;padding-top:.5rem;border-top:2px solid var(--line)}
h3{font-size:1.05rem;margin:1.25rem 0 .25rem}
p{margin:.25rem 0 .75rem;max-width:60rem}
a{color:var(--link)}
a:focus-visible,summary:focus-visible{outline:3px solid var(--link);outline-offset:2px}
.skip{position:absolute;left:-999px}
.skip:focus{left:1rem;top:1rem;background:var(--back);padding:.5rem}
nav ul{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;padding:0;list-style:none;margin:1rem 0 0}
nav a{display:inline-block;padding:.35rem 0}
code{font:.82em ui-monospace,monospace;color:var(--soft);overflow-wrap:anywhere}
table{width:100%;border-collapse:collapse}
caption{text-align:left;font-weight:600;padding:.5rem 0}
th,td{text-align:left;vertical-align:top;padding:.45rem .6rem;border-bottom:1px solid var(--line)}
thead th{background:var(--band);font-size:.9rem;position:sticky;top:0}
tbody th{font-weight:400;width:30%;padding-left:calc(.6rem + var(--d,0)*1rem)}
tbody th code{display:block}
td[data-label=Owner]{width:9rem}
td[data-label=Sensitivity]{width:11rem}
li{overflow-wrap:anywhere}
td ul{margin:0;padding-left:1.1rem}
td p{margin:0}
.part th{font-weight:600;background:var(--band)}
.part th code{display:inline}
.el{font-weight:600}
.no{color:var(--no)}
.way{color:var(--soft)}
details caption{position:absolute;left:-999rem}
details{border-bottom:1px solid var(--line)}
summary{padding:.6rem 0;cursor:pointer;font-weight:600}
summary span{font-weight:400;color:var(--soft)}
footer{color:var(--soft);border-top:1px solid var(--line);margin-top:3rem}
@media(max-width:44rem){
thead{position:absolute;left:-999rem}
table,tbody,tr,th,td{display:block;width:auto!important}
td.none{display:none}
tr{border-bottom:1px solid var(--line);padding:.5rem 0}
th,td{border:0;padding:.15rem .25rem}
tbody th{font-weight:600;padding-left:calc(.25rem + var(--d,0)*.6rem)}
td[data-label]::before{content:attr(data-label)": ";color:var(--soft);font-size:.85rem}
}
@media print{details{display:block}thead th{position:static}a{color:inherit}}
""".strip()
