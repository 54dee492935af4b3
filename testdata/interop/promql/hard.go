package main

import (
	"strings"

	"github.com/prometheus/prometheus/promql/parser"
)

// hardCases are inputs that were chosen to be difficult, each for a reason.
func hardCases() []input {
	var inputs []input
	add := func(from, entry, lines string) {
		for _, line := range strings.Split(strings.Trim(lines, "\n"), "\n") {
			inputs = append(inputs, input{from, entry, line})
		}
	}
	add("crashers of other parsers", entryExpr, `
x[99999999999999999999]
foo offset 1e300
x[99999999999999999999s]
foo offset -1e300
foo[1e300:5m]
foo[5m:1e300]
foo[9223372036]
foo[9223372036.8547758]
foo[9223372036.854775807]
foo offset 9223372036.854775807
foo @ 9223372036854775807
foo @ 9.2e15
foo @ 1e18
foo @ -1e18
foo[1e-10]
foo[5m:1e-10]
foo[0.0004]
foo[1.0005]
foo[0]
foo[-5m]
foo[0s]`)
	add("positions that depend on look-ahead", entryExpr, `
sum(foo)
sum(sum(foo))
sum(sum(foo) )
sum( sum(foo) # )
 )
(sum(foo)) + 1
sum(foo) by (a) + 1
sum(foo offset (5m))
sum(foo offset (5m) )
sum(foo offset -(5m))
sum(foo) 5
sum(foo) 5m
(sum(foo)) == 1 == 2
1 == sum(foo) == bool 1 + 1 == 1
(1) == (1)
(1)   ==   (1)
(1)#a
sum() + sum(1, 2)
topk(foo)
topk(1)
quantile(foo, foo)
sum(foo) by (a) by (b)`)
	add("offsets and operators", entryExpr, `
foo offset 5m + 3
foo offset -5m + 3
foo offset (5m) + 3
foo offset (5m) + bar
foo offset -(5m) + 3
foo offset +(5m) + 3
-foo offset +(step()) * 2 ^ 3
foo offset (5m) @ 3 + 2
foo offset +(5m) anchored + 2
foo[5m] offset +(5m) + 3
foo offset --5m + 3
foo offset --5m ^ 2
foo offset +-5m * 2
foo offset ++step() + 3
foo offset +step()
foo offset -step()
foo offset -max_of(step(), 5m)
foo offset +max_of(step(), 5m) + 1
foo offset step() ^ 2
foo offset -2^2
foo offset (-2)^2
foo offset (-2^2)
foo offset (((5m)))
foo offset 5m offset 5m
foo offset 0s offset 5m
foo offset (5m) offset 3m
foo offset 5m @ 10 offset 3m
foo @ start() @ end()
foo @ 1 @ 2
foo[5m] offset 1m @ end()
foo[5m] anchored smoothed
foo anchored
foo smoothed anchored
foo anchored[5m]
foo[5m:1m] anchored
1 anchored
1 smoothed
(foo) offset 5m
foo offset
foo offset foo
foo @
foo @ foo
foo @ start
foo @ start(
foo @ start(1)
foo[5m] offset 1 [5m]
foo offset 1m [5m]
foo @ 1 [5m]
foo[5m][5m]
foo[5m:][5m:]
(foo + bar)[5m]
foo + bar[5m]
-foo[5m:1m]
--1
-1^2
2^-1
-2^-foo
- - foo
1 - -1
1--1
+1
+foo
2 ^ 3 ^ 2
1 + 2 * 3 ^ 4 - 5
a or b and c unless d
a == b != c
a atan2 b * c`)
	add("going on behind errors", entryExpr, `
(foo @ x @ y)
(foo @ x + 1)
(foo @ x y @ z + 1
(foo @ x y + on (a b) bar) baz
(foo offset x y [5m:z] + 1)
(by{} @start1e19 @start  "my.metric"
(sum(foo bar) + 1) baz
abs(foo @ x y, z w, 1)
abs(foo @ x y @ z)
sum by (a b c, d e) (foo bar) baz
sum by (a b) by (foo)
foo + on x group_left y bar
foo + on (a b group_left (c) bar
{a="b" c d="e" f, g h="i"}
{a b c="d" = e, f = g h}
foo{a= , b="c" d}
foo[5m:x y] z [5m x] @ w
foo[x] [y] [z]
foo[5m x] offset y @ z offset 5m
1 + foo @ x * 2 @ y
foo anchored smoothed smoothed
foo anchored smoothed anchored[5m] smoothed
1[5m] offset 5m @ 3 anchored
1[5m][5m] offset 5m
unknown(foo)[5m:] offset 5m offset 5m
-unknown()
-sum() ^ 2
foo @ x $`)
	add("durations", entryExpr, `
foo[5m*2]
foo[5m*-2]
foo[-5m*-2]
foo[--5m]
foo[+5m]
foo[(5m)]
foo[((5m))]
foo[-(5m)]
foo[(-5m)]
foo[5m+(3*2)]
foo[5m/0]
foo[5m%0]
foo[5m/(0)]
foo[5m/-0]
foo[step()]
foo[range()]
foo[step()+range()]
foo[max_of(step(),5m)]
foo[MAX_OF(STEP(), 5m)]
foo[max_of(5m)]
foo[max_of(5m,)]
foo[max_of()]
foo[step(1)]
foo[step]
foo[steps()]
foo[s]
foo[5m:step()]
foo[5m:step()+1]
foo[step():1m]
foo[5m : 1m]
foo[ 5m : 1m ]
foo[:1m]
foo[5m::1m]
foo[5m:1m:1m]
foo[5m 5m]
foo[5m,5m]
foo[]
foo[5m
foo[5m:
foo[
foo[(5m]
foo[5m)]
foo[[5m]]
foo[bar]
foo["5m"]
foo[5m{]
foo[5m]]
foo]
foo[2^3^2]
foo[-2^2]
foo[1h30m]
foo[30m1h]
foo[5]
foo[5.5]
foo[0x10]
foo[5m # comment
]
foo[1h:10m] + step()
step() + range() + start() + end()
max_of(1, 2) + min_of(1, foo)
max_of(5m, 1)
max_of + min_of + step + range + start + end`)
	add("numbers and strings", entryExpr, `
0x1F
0b101
0o17
017
08
1_000
1_000.5
0x_1F
1e3
1E+3
.5
5.
1.2.3
1e
1e+
1_
1__0
1._5
0x
0xg
0b2
0b
1e309
-1e309
Inf
-inf
+INF
NaN
nan
5m
1y1w1d1h1m1s1ms
5h5h
5s5m
5ms5
1d4
99999999999999999999
1234567890123456789012
0x7fffffffffffffff
0x8000000000000000
"a"
'a'
"\a\b\f\n\r\t\v\\\"\x41\101\u00e9\U0001F600"
'\''
"\'"
"\xff"
"\xc3\xa9"
"\ud800"
"\U00110000"
"\400"
"\08"
"\x4g"
"\q"
"abc
'abc
"\
"\x
"é✓日本"
"`+"\u00ad\u200b\u2028\ufeff"+`"
"\u00ad\ufffd"
foo{a="\ufffd"}
1 # comment
# comment`)
	inputs = append(inputs,
		input{"whitespace and comments", entryExpr, ""}, input{"whitespace and comments", entryExpr, " "}, input{"whitespace and comments", entryExpr, "\n\n"},
		input{"whitespace and comments", entryExpr, "#"}, input{"whitespace and comments", entryExpr, "foo # a\n + # b\r bar"}, input{"whitespace and comments", entryExpr, "foo{# a\na=# b\n\"c\"}"},
		input{"whitespace and comments", entryExpr, "sum(foo # )\n)"}, input{"whitespace and comments", entryExpr, "\n\n  foo bar"}, input{"whitespace and comments", entryExpr, "`raw\n\\x`"},
		input{"whitespace and comments", entryExpr, "`raw"}, input{"whitespace and comments", entryExpr, "\"a\nb\""}, input{"whitespace and comments", entryExpr, "foo\u00a0bar"},
		input{"whitespace and comments", entryExpr, "foo\x00"}, input{"whitespace and comments", entryExpr, "\ufeff1"}, input{"whitespace and comments", entryExpr, "foo{\ufffd}"},
		input{"whitespace and comments", entryExpr, "\"\ufffd\""}, input{"whitespace and comments", entryExpr, "`\ufffd`"}, input{"whitespace and comments", entryExpr, "foo\v+\f1"},
	)
	add("selectors", entryExpr, `
{}
{a=""}
{a!="b"}
{a=~".*"}
{a=~".+"}
{a!~"x"}
foo{}
foo{,}
foo{a="b",}
foo{a="b",,}
foo{,a="b"}
foo{a}
foo{a=}
foo{a=b}
foo{="b"}
foo{a="b" b="c"}
foo{a="b"
foo{
foo}
foo{a=="b"}
foo{a="b"}}
foo{a{
foo{1="b"}
foo{a=1}
foo{a=~"("}
foo{a=~"[a"}
foo{a=~"a**"}
foo{a=~"\xff"}
foo{a=~"a{1001}"}
foo{__name__="bar"}
{__name__="bar"}
{__name__=~"bar.*"}
{"foo"}
{'foo'}
{"foo", a="b"}
{a="b", "foo"}
{"foo", "bar"}
foo{"bar"}
{"foo", __name__="bar"}
{"my.metric", "label.x"="y"}
{""}
{"" = "x"}
{"a"!="b"}
{"a"=~"b"}
{"a"=b}
{"a"=}
{"a" "b"}
{"é"="ü"}
{a:b="c"}
a:b:c{d="e"}
:foo
foo:
1foo
foo-bar
foo.bar
sum{a="b"}
bool
on
ignoring
group_left
by
without
offset
unless
atan2
inf{a="b"}
fill
fill{a="b"}
fill(1)
start
start{a="b"}
end offset 5m
sum sum
sum by
sum + by
and + or`)
	add("aggregations and matching", entryExpr, `
sum by (a, b) (foo)
sum by () (foo)
sum without () (foo)
sum(foo) by (a,)
sum by (a b) (foo)
sum by (,) (foo)
sum by (a,,b) (foo)
sum by a (foo)
sum by (a (foo)
sum by (a
sum by ("a b", 'c', `+"`d`"+`, "") (foo)
sum by (1) (foo)
sum by (a:b) (foo)
sum by (without) (foo)
sum by ("without", "inf", "nan", "bool") (foo)
sum by (sum, by, on, bool, group_left, start, fill, atan2, and) (foo)
sum by (a) foo
sum (
sum(
sum)
sum(foo bar)
sum(sum(foo bar) + 1)
sum(foo bar) + 1
sum(foo,)
sum(,foo)
sum(foo,,bar)
abs(foo,)
abs(,)
abs()
abs
abs(
abs(foo
abs(foo bar) + "unterminated
unknown(foo)
unknown()
START()
Rate(foo[5m])
rate(foo)
rate(foo[5m], 1)
round(foo, 1, 2)
label_join(foo)
label_join(foo, "a", "b")
label_join(foo, "a", "b", "c", "d", "e")
label_replace(foo, "a", "b", "c")
pi(1)
time(foo)
vector(foo)
scalar("a")
histogram_quantiles(foo, "q", 0.1, 0.2, 0.3)
histogram_quantiles(foo, "q")
histogram_quantiles(foo, "q", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11)
info(foo)
info(foo, {})
info(foo, {a="b"})
info(foo, bar)
info(foo, {"bar"})
info(foo, bar + 1)
info(foo, (bar))
info(foo, 1)
info(foo, {}, 1)
sort_by_label(foo)
sort_by_label(foo, "a", 1)
limitk(1, foo)
limit_ratio(0.5, foo)
count_values("a", foo)
count_values(1, foo)
count_values(foo, "a")
topk(1, foo) by (a)
topk by (a) (1, foo)
sum(1)
sum("a")
sum(foo[5m])
foo + on(a) bar
foo + on(a,) group_left bar
foo + on(a) group_left(b) bar
foo + on(a) group_left(a) bar
foo + on(a) group_left() bar
foo + on(a) group_right (b, c) bar
foo + group_left bar
foo + ignoring group_left bar
foo + on(a) group_left )
foo + on(a) group_left ,
foo + on bar
foo + on(
foo + on(a
foo + on(a b) bar
foo + on() bar
foo + ignoring() bar
foo + ignoring() group_left() bar
foo + bool bar
foo == bool bar
foo == bool on(a) group_left(b) bar
1 == 1
1 == bool 1
1 == bool foo
1 and 1
foo and 1
1 or foo
foo and bool bar
foo and on(a) bar
foo and on(a) group_left(b) bar
foo unless fill(0) bar
foo + on(a) 1
1 + on(a) bar
1 + on() bar
1 + fill(0) bar
foo + fill(0) bar
foo + fill(0) on(a) bar
foo + on(a) fill(0) bar
foo + on(a) group_left fill(0) bar
foo + fill_left(1) fill_right(2) bar
foo + fill_right(2) fill_left(1) bar
foo + fill_left(1) fill_left(2) bar
foo + fill(1) fill(2) bar
foo + fill(-1) bar
foo + fill(+1) bar
foo + fill(5m) bar
foo + fill(-Inf) bar
foo + fill(NaN) bar
foo + fill_left(0) fill_right(-0) bar
foo + fill(bar) bar
foo + fill() bar
foo + fill bar
foo + fill (bar)
fill + fill
fill(1) + fill(1)
foo </ bar
foo >/ 5
foo </ bool 5
1 </ 1
1 >/ bool 1
foo < / bar
foo = bar
foo =~ bar
foo !~ bar
foo ! bar
foo <> bar
"a" + 1
"a" + "b"
-"a"
-foo[5m]
+"a"
"a"[5m]
"a"[5m:]
1[5m:]
1[5m]
foo[5m] + 1
(foo[5m]) + 1
(foo
foo)
()
(1
((((((((((1))))))))))
foo bar baz
foo $ bar
foo bar $
foo bar "
foo "
1 1
"a" "b"
foo + 
+ 
* foo
foo + * bar
,
;
@
foo @ 1 bar
foo offset bar baz "
foo[5m] bar`)
	for _, name := range sortedKeys(parser.Functions) {
		// Errors tell the number and types of arguments, and whether the function must be enabled.
		for _, args := range []string{"", "1", `"a"`, "foo[5m]", "foo, foo, foo, foo, foo", strings.Repeat("foo[5m], ", 14) + "1"} {
			add("signatures", entryExpr, name+"("+args+")")
		}
	}
	add("long expressions for the second form", entryExpr, `
sum by (aaaaaaaaaaaaaaaaaaaaaaaaa, bbbbbbbbbbbbbbbbbbbbbbbbbb, cccccccccccccccccccccc) (rate(http_requests_total{job="api-server"}[5m]))
topk(5, sum by (aaaaaaaaaaaaaaaaaaaaaaaaa, bbbbbbbbbbbbbbbbbbbbbbbbbb) (rate(http_requests_total{job="api-server"}[5m:1m] offset 5m)))
aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa + on (a, b) group_left (c) bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb fill (1)
-(aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa + on (a, b) group_left (c) bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb)
(aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa + on (a, b) group_left (c) bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb)[5m:1m] offset 3m
label_replace(aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa == bool bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb, "dst", "$1", "src", "(.*)", )
label_replace(aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa == bool bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb, "dst", "$1", "src", "(.*)")
aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa{a="b"}
abs(-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa)
absent_over_time(aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa{a="b"}[5m:max_of(step(), 5m)])`)
	add("selectors alone", entrySelector, `
foo
foo{a="b"}
{a="b"}
{}
{"foo.bar", a="b"}
foo{a=""}
foo[5m]
foo offset 5m
sum(foo)
foo{a="b"} bar
foo{a=~"("}

1
sum
inf
foo{a=}`)
	add("metrics", entryMetric, `
foo
foo{a="b"}
{a="b"}
{}
{"foo.bar", a="b"}
foo{a=""}
foo{a=~"b"}
foo{a="b",}
foo{a}
foo{a="b" c}
foo{"a"="b"}
foo{"a"}
foo bar
foo{b="1",a="2"}

{`)
	add("series", entrySeries, `
foo
foo 1
foo 1 2 3
foo 1x3
foo 1+2x3
foo 1-2x3
foo -1-2x3
foo 1+-2x3
foo 1x
foo 1 x3
foo _
foo _x3
foo __
foo _ _ 1
foo stale
foo stalex3
foo Stale
foo nope
foo NaN Inf -Inf +Inf
foo Infx3
foo 1e3x2
foo 1e3+1e3x2
foo 0x3
foo 0x10
foo 1x1.5
foo 1x-1
foo 1+2
foo 1+2x
foo 5m
foo 1_000
foo  1   2  
 foo 1
{a="b"} 1
{"my.metric"} 1
{"my.metric", a="b"} 1
foo{a="b"}1
foo{a="b"} 1
foo{a="b"
foo{a="b"}
foo{a=~"b"} 1
foo{} 1

1
foo # 1
foo 1 # comment
foo {{}}
foo {{ }}
foo {{schema:1 sum:5 count:10 buckets:[1 2 3]}}
foo {{schema:1 sum:-0.3 count:3.1 z_bucket:7.1 z_bucket_w:0.05 buckets:[5.1 10 7] offset:-3 n_buckets:[4.1 5] n_offset:-5}}
foo {{schema:-53 custom_values:[1 2.5 10] buckets:[1 2 3 4]}}
foo {{buckets:[1 2 3] offset:2}}x3
foo {{buckets:[1]}}+{{buckets:[1]}}x3
foo {{buckets:[5]}}-{{buckets:[1]}}x3
foo {{schema:1}}+{{schema:0}}x1
foo {{schema:0}}+{{schema:1}}x1
foo {{schema:-53}}+{{schema:1}}x1
foo {{schema:1}}+{{schema:-53}}x1
foo {{counter_reset_hint:gauge}} {{counter_reset_hint:reset}} {{counter_reset_hint:not_reset}} {{counter_reset_hint:unknown}}
foo {{counter_reset_hint:gauge}}x2 {{}}
foo {{counter_reset_hint:gauge}}+{{}}x2
foo {{}}+{{counter_reset_hint:gauge}}x2
foo {{counter_reset_hint:other}}
foo {{counter_reset_hint:}}
foo {{SUM:1 Count:2}}
foo {{sum:1 sum:2}}
foo {{sum:Inf count:NaN}}
foo {{sum:-Inf}}
foo {{sum:+1}}
foo {{sum}}
foo {{sum:}}
foo {{sum:1,count:2}}
foo {{sum:1 }}
foo {{ sum:1}}
foo {{sum:1  count:2}}
foo {{bogus:1}}
foo {{schema:1.5}}
foo {{schema:-1}}
foo {{schema:9223372036854775808}}
foo {{offset:5000000000}}
foo {{buckets:[]}}
foo {{buckets:[1 2}}
foo {{buckets:[1,2]}}
foo {{buckets:[1 Inf -1 NaN]}}
foo {{buckets:[ 1 2 ]}}
foo {{buckets:[1 2 ]}}
foo {{buckets:1}}
foo {{
foo {{}
foo {{}}}
foo {{}} {{}}
foo {{}}x
foo {{}}xx
foo {{}}+
foo {{}}+1x3
foo {{}}1
foo {{sum:1 x}}
foo {{sum:1 x:1}}
foo {1}
foo 1 {a="b"}
foo "a"
foo 1 'a'
foo @ 1`)
	return inputs
}
