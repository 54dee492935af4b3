package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Patterns made by hand: what differs between dialects, what Go refuses, and what matchers look like in practice.
var patterns = []string{
	// Matchers.
	"", "foo", ".*", ".+", ".?", ".", "foo|bar", "foo|", "|foo", "|", "||", "a||b", "(foo|bar)", "foo.*", ".*foo", ".*foo.*", ".+foo.+", "foo.+", ".+foo",
	"foo.*bar", "foo.+bar", "a.*b.*c", "a.*b.+c", ".*a.*b.*", ".+a.+b.+", "foo|bar.*", ".*foo.*|.*bar.*", ".*(foo|bar).*", "(foo|bar).*", ".*(foo|bar)",
	"web-(1|2|3)-[ab]", "web-[0-9]+", "web-.*-canary", "foo(|bar)", "foo(bar)?", "foo(bar|)", "(a|b|c)(d|e)", "[ab][cd]", "[a-z]{2}", "a{0,3}", "a{3}", "(ab){2}",
	"10\\.0\\.(1|2)\\.+", "prod|staging|dev", "^foo$", "^(foo|bar)$", "^foo|bar$", "(^foo$)", "(^foo|bar$)", "^^foo$$", "\\Afoo\\z", "^$", "$^", "^", "$", "^.*$", "^.+$",
	"(^|a)b", "a(b|$)", "a^b", "a$b", "(?m)^foo$", "(?m)a$\\nb", "(?m)a^b", "(?m)a\\n^b$", "(?m:^)foo", "(?m)^", "(?m)$", "(?m)^.*$",
	".*|foo", "foo|.*", ".+|", "|.+", "(.*)", "(.+)", "(.*)*", "(.+)+", "(.+)?", "(.*)+", ".*.*", ".*.+", ".+.+", ".{2,}", ".{0,}", ".{1,}", ".{3}", "..", "...*", ".?.*",
	".?.?", "[^a]", "[^a]*", "[^\\n]*", "(?-s).*", "(?-s).+", "(?-s)foo.*", "(?-s:.)*.", "(.|\\n)*", "[\\s\\S]*", "[\\d\\D]+", "a.*|b.*|c.*|d",
	".*-.*-.*", ".+-.*-.+", "-.*-.*-", ".*-(ab)-.*", ".*\\|(foo)\\|.*", "((.*)(bar|b|buzz)(.+)|foo)$", "a*", "a+", "a?", "(a|ab)(c|bcd)(d*)", "x*|y*",
	// Case.
	"(?i)foo", "(?i)foo|bar", "(?i:foo)bar", "foo(?i)bar", "(?i)k", "(?i)s", "(?i)ſ", "(?i)\u212a", "(?i)ß", "(?i)ẞ", "(?i)ǅ", "(?i)İ", "(?i)ı", "(?i)i", "(?i)µ", "(?i)σ", "(?i)ς",
	"(?i)[k]", "(?i)[a-z]", "(?i)[^k]", "(?i)[^a-z]", "(?i)\\w", "(?i)\\W", "(?i)[\\W]", "(?i)[^\\w]", "(?i)[[:alpha:]]", "(?i)[[:^alpha:]]", "(?i)[[:upper:]]", "(?i)[[:lower:]k]",
	"(?i)\\pL", "(?i)\\p{Lu}", "(?i)\\P{Lu}", "(?i)\\p{Greek}", "(?i)\\p{LC}", "(?i)\u0345", "(?i)[\u0345]", "(?i)-1_", "(?i)1|2", "(?i)a1|a2", "(?i)abc.*", "(?i).*abc", "(?i)a|A|b", "[Aa]",
	"[Kk]", "[kK\u212a]", "[Aa]b", "[Aa]|[Bb]", "(?i:a)b|ac", "(?i:a)x*|Ay*", "(?i:a)|a", "(?i)é", "(?i)Ω", "(?i)Ⅷ", "(?i)𐐀", "(?i)foo(?-i)bar", "(?i:a(?-i:b)c)",
	// Classes.
	"[]a]", "[^]a]", "[]", "[^]", "[]-a]", "[a-]", "[-a]", "[a-c-e]", "[a\\-z]", "[--/]", "[+--]", "[\\]]", "[\\\\]", "[a", "[a-", "[a-b", "[^", "[", "[z-a]", "[a-\\d]", "[\\d-z]", "[\\w-.]",
	"[[:alpha:]]", "[[:^alpha:]]", "[^[:alpha:]]", "[[:word:]]", "[[:foo:]]", "[[:alpha:]", "[[:alpha]]", "[:alpha:]", "[[:^al^pha:]]", "[[:ALPHA:]]", "[[::]]", "[[:", "[[:]]", "[[:a", "[[.a.]]", "[[=a=]]",
	"[[:alnum:][:space:]]", "[[:ascii:]]", "[[:blank:]]", "[[:cntrl:]]", "[[:digit:]]", "[[:graph:]]", "[[:lower:]]", "[[:print:]]", "[[:punct:]]", "[[:space:]]", "[[:upper:]]", "[[:xdigit:]]",
	"\\d", "\\D", "\\s", "\\S", "\\w", "\\W", "\\d+", "[\\d]", "[^\\d]", "[\\D\\d]", "[\\s\\S]", "[^\\s\\S]", "[^\\x00-\\x{10FFFF}]", "[^\\x00-\\x{10FFFF}]*", "[\\x{0}-\\x{10FFFF}]", "a[^\\x00-\\x{10FFFF}]|b", "\\v", "[\\v]",
	"\\pL", "\\pN", "\\PL", "\\p{L}", "\\p{Lu}", "\\p{^Lu}", "\\P{^Lu}", "\\p{Greek}", "\\p{Han}", "\\p{Any}", "\\P{Any}", "\\p{^Any}", "\\p{LC}", "\\p{Cn}", "\\p{Cs}", "\\p{C}", "\\p{greek}", "\\p{Uppercase_Letter}", "\\p{ASCII}",
	"\\p{Assigned}", "\\p{L1}", "\\p{", "\\p{L", "\\p", "\\P", "\\p{}", "\\p{^}", "\\p^L", "\\pX", "\\p日", "\\p{日}", "[\\pL]", "[\\PL]", "[^\\pL]", "[\\p{Greek}a-z]", "[\\p{Foo}]", "[\\p", "[\\pL-z]", "\\pLa", "\\p{Lu}\\p{Ll}*",
	"[\u212a-ſ]", "[a-z&&[^b]]", "[a~~b]", "[#]", "[ a]", "[\\n]", "[\\^a]", "[a^]", "[日本]", "[😀-😎]", "[\\x{1F600}-\\x{1F64F}]", "[\\x{D800}-\\x{DFFF}]", "[^\\x{D800}-\\x{DFFF}]", "\\x{FFFD}", "[\\x{D7FF}-\\x{E000}]",
	// Escapes.
	"\\", "a\\", "\\\\", "\\.", "\\_", "\\-", "\\ ", "\\/", "\\é", "\\日", "\\q", "\\Qfoo", "\\Qa.b\\E", "\\Qa.b\\E+", "\\Q\\E", "a\\Q\\E*", "\\Q\\Q\\E", "\\E", "\\Qa\\Eb", "\\Q(\\E|b", "[\\Qa\\E]", "\\Q日\\E{2}", "\\Q\\", "\\Qa\\",
	"\\a", "\\f", "\\n", "\\r", "\\t", "\\b", "\\B", "\\C", "\\Z", "\\z", "\\A", "\\G", "\\K", "\\h", "\\R", "\\X", "\\e", "\\cA", "\\N", "\\u0041", "\\U0041", "[\\b]", "[\\A]", "[\\B]", "[\\z]", "[\\C]",
	"\\0", "\\00", "\\000", "\\0000", "\\1", "\\8", "\\9", "\\12", "\\123", "\\1234", "\\18", "\\177", "\\377", "\\400", "\\777", "(a)\\1", "[\\101]", "[\\1]", "[\\8]",
	"\\x", "\\x4", "\\x41", "\\x411", "\\xg", "\\x4g", "\\xzq", "\\x{", "\\x{}", "\\x{4", "\\x{41}", "\\x{000041}", "\\x{110000}", "\\x{10FFFF}", "\\x{10ffff}", "\\x{g}", "\\x{4g}", "\\x{ 41}", "\\x{FFFFFFFFFFFFFFFFF}", "\\x日", "\\x4日", "[\\x41-\\x43]", "[\\x{41}-]", "\\x{0}",
	"foo\\b", "\\bfoo\\b", "\\b", "\\B", "a\\bb", "a\\Bb", "a\\b-", "é\\b", "\\bé", "a\\bé", "\\B日\\B", "-\\B-", ".*\\bfoo\\b.*", "\\b.*\\b", "(?:\\b|a)b", "\\B*", "(\\b)+a", "\\b{2}a", "^*", "$*", "^+a", "a$?", "(^)*a", "(^a)*", "(a$)*", "(?:^|,)a(?:,|$)", "(a|^)*b",
	// Repeats.
	"*", "+", "?", "{1}", "{", "}", "{}", "a{", "a}", "a{}", "a{,}", "a{,2}", "a{1", "a{1,", "a{1,2", "a{ 1}", "a{1 }", "a{-1}", "a{1}", "a{1}}", "a{01}", "a{00}", "a{0}", "a{0,0}", "a{0,1}", "a{1,0}", "a{2,1}", "a{1,01}",
	"a{1000}", "a{1001}", "a{1000,}", "a{1001,}", "a{0,1000}", "a{0,1001}", "a{100000000}", "a{99999999999999999999}", "a{1,99999999999999999999}", "a{4294967296}", "a{4294967297,4294967298}",
	"(a{100}){10}", "(a{100}){11}", "(a{1000}){1}", "(a{1000}){2}", "((a{10}){10}){10}", "((a{10}){10}){11}", "(a{2}){500}", "(a{2}){501}", "(a{0}){1000}", "((a{1000}){0}){2}", "(a{1000}*){2}", "((a{1000})*){2}", "(a{0,}){1000}", "((a{1000}){0,}){2}", "((a{500}){0,}){2}",
	"(?:(?:a{33}){33})", "(a{500}|b{3}){2}", "(a{501}|b{3}){2}", "(b{3}|a{501}){2}", "(x{3}(a{100}b{4}){2}){5}", "(x{3}(a{101}b{4}){2}){5}", "((a{20}){50,}){1}", "(a{20,}){50,}", "(a{20,}){51,}",
	"a**", "a*+", "a+*", "a?*", "a*?", "a+?", "a??", "a*??", "a{2}?", "a{2}??", "a{2}{3}", "a{2}*", "a*{2}", "a{2,}?b", "a*{,2}", "(a*)*", "(?:a*)*", "(a*)+", "(a+)*", "(a?)*", "(a|b*)*", "(|a)*", "(|a)+", "(a|)*b", "(a*|b)*c", "(?:a|)*b",
	"(*)", "(+a)", "(|*)", "a|*", "a|?b", "(?i)*", "a(?i)*", "a*(?i)*", "(?:)*", "()*", "()", "(())", "(?:)", "(?:){1000}", "((){10}){100}", "a(?:){0}", "(?U)a*", "(?U)a*?", "(?U:a+)a", "(a+?)(a*)", "(?U)(a+)(a*)", "(?U)(a+?)(a*)",
	"a.{0,2}b", "a.{2}.*b", "a.*.{2}b", "a.?.*b", "(a.*)+", "(a|b){0}c", "x{0}y", "(x){0}(y)", "(?P<n>x){0}y", "(a){2}", "(a|b){2}", "(a)|(b)", "(a)*", "(a)?b", "((a)|b)*", "(a|(b))+", "(a*)(a*)", "(a*?)(a*)", "(.*)-(.*)", "(.*?)-(.*)", "(.+?)(\\d*)", "([^:]+):(\\d+)",
	"((a)(b)?)+", "(?:(a)|b)*", "(?:(a)|(b))*c", "((?:a|b)*?)(b*)", "(a|ab)(c|bcd)(d*)", "(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)(k)",
	// Groups and flags.
	"(", ")", "())", "(()", "a)", "(a", "a)(b", ")(", "(?", "(?)", "(?:", "(?:a", "(?:a)", "(?i", "(?i)", "(?i:", "(?i:a", "(?-", "(?-)", "(?-i)", "(?-i:a)", "(?i-)", "(?i-:a)", "(?i-s)a", "(?i-i)a", "(?-i-s)a", "(?--i)a", "(?is-mU:a.b)", "(?x)a b", "(?a)", "(?ii)a", "(?i)(?-i)a",
	"(?#c)", "(?=a)", "(?!a)", "(?<=a)", "(?<!a)", "(?>a)", "(?|a)", "(?'n'a)", "(?P", "(?P<", "(?P<n", "(?P<n>", "(?P<n>a", "(?P<n>a)", "(?P<>a)", "(?P<n n>a)", "(?P<1>a)", "(?P<é>a)", "(?P<_>a)", "(?P=n)", "(?P>n)", "(?Pn)", "(?<", "(?<n", "(?<n>", "(?<n>a)", "(?<>a)", "(?<n-m>a)", "(?P<n>a)(?P<n>b)", "(?P<n>a)|(?P<n>b)",
	"(?P<name>a)(?<x1>b)?", "(?P<a>x)(?P<A>y)", "(?P<name_1>.)(?P<name>.)", "(?P<01>.)(.)", "(?P<10>.)", "(?i)a(?P<n>(?-i)b)c", "(?i:a|(?-i)b)c", "(a(?i)b)c", "a(?i)b|c", "(?i)a|b(?-i)c", "a|(?i)b|c", "(?s).", "(?-s).", "(?-s:a.b)", "(?s-m)a", "(?m-s).$", "(?:(?i)a)b",
	"(?i)(?P<k>k)", "(?^)", "(?^i)", "(?", "(?i)(", "((?i)a", "(?i))", "a|b)c", "(a|b", "日(", "(日", "日)", "[日", "日**", "(?日)", "日{2}", "日本*", "(?P<日>a)",
	// Text that is none of these.
	"日本", "é", "😀", "😀|😁", "[😀😁].*", "a\nb", "\n", "\t", "a b", "a#b", "~`!@#%&=:;\"'<>,/", "\x00", "a\x00b", "\x7f", "\ufffd", "{{a}}", "a{b}", "${1}", "$1", "a,b", "a-b", "a_b",
	"foo\\.bar|baz\\.qux", "\\x41|B", "(a|b|ab)", "a|aa|aaa", "abc|abd|acd|b", "abc|abd.*|acd", "ab+|ac+", "a+b|a+c", "(?:a|b)|c", "a|(?:b|c)", "(?:ab|c)d", "(?:(?:a))", "((a))", "ab|cd|ef|", "[ab]|c|d", "a|[^a]", ".|\\n", "[a]|b", "a|.", "(?-s).|\\n", "x(?:a|.)y",
	"aaa.*bbb.*", ".*aab", "a.*a", "ab.*ba", "aba.*aba", ".*aa.*aa.*", ".*ab.*b", "a.*ab.*b", "a.+a", "aa.*aa", ".{2}a", "a.{2}", "(foo.*|bar)baz", "(foo|bar)(.*)(baz|qux)", "(a|b).*(c|d).*(e|f)", "x(a.*|b)y", "(?:.*a)?b", "(?:a.*)?", "(?:.+a)?(?:b.+)?",
}

// handMade is patterns, and such as are too long to be written.
func handMade() []string {
	all := append([]string{}, patterns...)
	repeat := func(before, middle, after string, n int) string {
		return strings.Repeat(before, n) + middle + strings.Repeat(after, n)
	}
	for _, n := range []int{100, 998, 999, 1000, 1001, 2000} {
		all = append(all,
			repeat("(", "a", ")", n), repeat("(", "ab*", ")", n-1), repeat("(?:", "a", ")", n), repeat("(?:", "a", ")*", n), repeat("(?:", "a", "b)*", n),
			repeat("(?:", "a|b", ")?", n), repeat("(", "a", ")b", n), repeat("(a", "", "b)", n), repeat("(?:", "", "|)", n), repeat("(", "", "", n), repeat("(?:", "a", "+)", n),
			repeat("(?i:", "ab", ")?", n), repeat("(?:a|", "bc", ")*", n), repeat("(?:a|bc|", "x*", ")", n))
	}
	list := func(format string, n int) string {
		names := make([]string, n)
		for i := range names {
			names[i] = fmt.Sprintf(format, i)
		}
		return strings.Join(names, "|")
	}
	for _, n := range []int{2, 15, 16, 17, 100, 255, 256, 257} {
		all = append(all, list("pod-%d", n), "("+list("p%d", n)+")", list("p%d.*", n), "x("+list("%d", n)+")y", list("(?i)n%d", n), list(".*%d.*", n))
	}
	for _, n := range []int{255, 256, 257} {
		all = append(all, fmt.Sprintf("[\\x{100}-\\x{%x}]", 0x100+n-1), fmt.Sprintf("a{0,%d}", n-1))
	}
	all = append(all, strings.Repeat("a", 3000), strings.Repeat("(?i)Ab", 50), strings.Repeat("a?", 100)+strings.Repeat("a", 100), strings.Repeat("(a|b)", 8), strings.Repeat("(a|b)", 9),
		strings.Repeat("[ab]", 8)+"c", strings.Repeat("|", 1000), strings.Repeat("^", 1000), strings.Repeat("\\Q\\E", 1000)+"a", "(?:"+strings.Repeat("a", 4000)+"){1000}", strings.Repeat("(?:a{1000}b{1000})", 3)+"c")
	return all
}

// grammar makes a well-formed pattern, more or less.
func grammar(random *rand.Rand, depth int) string {
	pick := func(from ...string) string { return from[random.IntN(len(from))] }
	atom := func() string {
		switch random.IntN(16) {
		case 0, 1, 2:
			return pick("foo", "bar", "ab", "web-", "k", "s", "a", "b", "é", "日", "x1", "_", ":", "A", "K", "ſ", "\u212a")
		case 3, 4:
			return ".*"
		case 5:
			return pick(".+", ".", ".?", ".*?", ".{2,}")
		case 6:
			return pick("[ab]", "[^a]", "[a-z]", "[0-9]", "[Aa]", "[^\\n]", "[kK]", "[[:alpha:]]", "[\\w.-]", "[é日]", "[]a]", "[^[:space:]]", "[a-c]")
		case 7:
			return pick("\\d", "\\w", "\\s", "\\W", "\\D", "\\S", "\\pL", "\\p{Lu}", "\\PN", "\\p{Greek}", "\\.", "\\-", "\\n", "\\x41", "\\101", "\\Qa.\\E")
		case 8:
			return pick("^", "$", "\\b", "\\B", "\\A", "\\z", "")
		case 9:
			return pick("(?i)", "(?m)", "(?-s)", "(?s)", "(?U)", "(?-i)", "(?i-s)")
		default:
			return pick("a", "b", "c", "foo", "-", "1", "0")
		}
	}
	var branches []string
	for range 1 + random.IntN(3)*random.IntN(2) {
		var branch strings.Builder
		for range 1 + random.IntN(4) {
			item := ""
			if depth > 0 && random.IntN(4) == 0 {
				item = pick("(", "(", "(?:", "(?i:", "(?P<name>", "(?m:", "(?<n>", "(?-s:", "(?U:") + grammar(random, depth-1) + ")"
			} else {
				item = atom()
			}
			branch.WriteString(item)
			if random.IntN(5) == 0 && item != ".*" {
				branch.WriteString(pick("*", "+", "?", "{2}", "{0,2}", "{1,}", "{0}", "*?", "+?", "??", "{1}", "{3}?"))
			}
		}
		branches = append(branches, branch.String())
	}
	return strings.Join(branches, "|")
}

// soup makes a text of what has a meaning somewhere; most are malformed.
func soup(random *rand.Rand) string {
	pieces := strings.Split("a b k A 0 1 , - ^ $ . * + ? { } ( ) [ ] | \\ \\ \\Q \\E \\p \\P \\x \\d \\b (? (?: (?i (?P< < > : = ! i s m U P L {L} [: :] [:alpha:] alpha [^ {2} {1,2} {,2} {2,} 1000 é 日 ſ \n \\1 \\12 \\x{41} 41} \\pN", " ")
	var out strings.Builder
	for range 1 + random.IntN(8) {
		out.WriteString(pieces[random.IntN(len(pieces))])
	}
	return out.String()
}

// mutate changes a pattern in a place or two.
func mutate(random *rand.Rand, pattern string) string {
	if len(pattern) > 60 {
		return pattern
	}
	runes := []rune(pattern)
	for range 1 + random.IntN(3) {
		at := random.IntN(len(runes) + 1)
		switch random.IntN(3) {
		case 0:
			runes = append(append(append([]rune{}, runes[:at]...), []rune(soup(random))...), runes[at:]...)
		case 1:
			if at < len(runes) {
				runes = append(append([]rune{}, runes[:at]...), runes[at+1:]...)
			}
		default:
			other := []rune(patterns[random.IntN(len(patterns))])
			runes = append(append(append([]rune{}, runes[:at]...), other...), runes[at:]...)
		}
	}
	if len(runes) > 80 {
		runes = runes[:80]
	}
	return string(runes)
}
