//! Buckets of native histograms with their bounds, and histograms as text.

use std::fmt;

use crate::{
    float_text::FloatText,
    histogram::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram, Histogram, Span},
};

/// A bucket of a native histogram.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Bucket<C> {
    /// Lower bound.
    pub lower: f64,
    /// Upper bound.
    pub upper: f64,
    /// Whether the lower bound is inside.
    pub lower_inclusive: bool,
    /// Whether the upper bound is inside.
    pub upper_inclusive: bool,
    /// Observations.
    pub count: C,
}

impl Histogram {
    /// The buckets that have observations, ascending.
    #[must_use]
    pub fn buckets(&self) -> Vec<Bucket<u64>> {
        let absolute = |deltas: &[i64]| {
            let sum = |count: &mut i64, delta: &i64| {
                *count = count.wrapping_add(*delta);
                Some(count.cast_unsigned())
            };
            deltas.iter().scan(0_i64, sum).collect::<Vec<_>>()
        };
        let sides = [
            (&*self.negative_spans, absolute(&self.negative_buckets)),
            (&*self.positive_spans, absolute(&self.positive_buckets)),
        ];
        ascending(self.schema, &self.custom_values, (self.zero_threshold, self.zero_count), sides)
    }
}

impl FloatHistogram {
    /// The buckets that have observations, ascending. [`Self::ascending`] gives all, and cuts them off at the zero bucket.
    #[must_use]
    pub fn buckets(&self) -> Vec<Bucket<f64>> {
        let sides = [
            (&*self.negative_spans, self.negative_buckets.clone()),
            (&*self.positive_spans, self.positive_buckets.clone()),
        ];
        ascending(self.schema, &self.custom_values, (self.zero_threshold, self.zero_count), sides)
    }
}

/// Takes the negative side and the positive one: spans and absolute counts.
fn ascending<C: Copy + Default + PartialEq>(
    schema: i32,
    custom: &[f64],
    (zero_threshold, zero_count): (f64, C),
    [(negative_spans, negative), (positive_spans, positive)]: [(&[Span], Vec<C>); 2],
) -> Vec<Bucket<C>> {
    let has_observations = |(_, count): &(i64, C)| *count != C::default();
    let is_custom = schema == CUSTOM_BUCKETS_SCHEMA;
    let mut buckets: Vec<_> = indexes(negative_spans)
        .zip(negative)
        .filter(has_observations)
        .map(|(index, count)| {
            let (lower, upper) = (-bound(index, schema, custom), -bound(index.saturating_sub(1), schema, custom));
            Bucket { lower, upper, lower_inclusive: true, upper_inclusive: false, count }
        })
        .collect();
    buckets.reverse();
    if zero_count != C::default() {
        let (lower, upper) = (-zero_threshold, zero_threshold);
        buckets.push(Bucket { lower, upper, lower_inclusive: true, upper_inclusive: true, count: zero_count });
    }
    buckets.extend(indexes(positive_spans).zip(positive).filter(has_observations).map(|(index, count)| {
        let (lower, upper) = (bound(index.saturating_sub(1), schema, custom), bound(index, schema, custom));
        Bucket { lower, upper, lower_inclusive: is_custom && index == 0, upper_inclusive: true, count }
    }));
    buckets
}

/// Indexes of the buckets that the spans cover.
fn indexes(spans: &[Span]) -> impl Iterator<Item = i64> + '_ {
    let place = |next: &mut i64, span: &Span| {
        let start = next.saturating_add(span.offset.into());
        *next = start.saturating_add(span.length.into());
        Some(start..*next)
    };
    spans.iter().scan(0_i64, place).flatten()
}

/// Upper bound of the positive bucket `index`. NaN where there is no such bucket.
pub(crate) fn bound(index: i64, schema: i32, custom: &[f64]) -> f64 {
    match schema {
        CUSTOM_BUCKETS_SCHEMA => match usize::try_from(index) {
            Ok(index) if index == custom.len() => f64::INFINITY,
            Ok(index) => custom.get(index).copied().unwrap_or(f64::NAN),
            Err(_) if index == -1 => f64::NEG_INFINITY,
            Err(_) => f64::NAN,
        },
        -31..0 => scaled(1.0, index.saturating_mul(1 << schema.unsigned_abs())),
        0..=8 => {
            let within = (index & ((1 << schema) - 1)) << (8 - schema);
            let fraction = usize::try_from(within).ok().and_then(|within| BOUNDS.get(within));
            scaled(fraction.copied().unwrap_or(f64::NAN), (index >> schema).saturating_add(1))
        }
        _ => f64::NAN,
    }
}

/// `fraction * 2^exponent`. The first value that is infinite becomes the largest finite one, because observations of
/// infinities have a bucket of their own.
fn scaled(fraction: f64, exponent: i64) -> f64 {
    if (fraction == 0.5 && exponent == 1025) || (fraction == 1.0 && exponent == 1024) {
        return f64::MAX;
    }
    times_power_of_two(fraction, exponent)
}

/// `fraction * 2^exponent`, rounded once if the fraction is about one.
pub(crate) fn times_power_of_two(fraction: f64, exponent: i64) -> f64 {
    // In two steps, of which only the second can round.
    let exponent = exponent.clamp(-1200, 1200);
    let power = |exponent: i64| f64::from_bits((exponent + 1023).cast_unsigned() << 52);
    fraction * power(exponent / 2) * power(exponent - exponent / 2)
}

fn write_histogram<C>(
    f: &mut fmt::Formatter<'_>,
    count: &dyn fmt::Display,
    sum: f64,
    buckets: &[Bucket<C>],
) -> fmt::Result
where
    Bucket<C>: fmt::Display,
{
    write!(f, "{{count:{count}, sum:{}", FloatText(sum))?;
    buckets.iter().try_for_each(|bucket| write!(f, ", {bucket}"))?;
    f.write_str("}")
}

/// As Prometheus prints it: `{count:3, sum:5, (1,2]:3}`.
impl fmt::Display for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_histogram(f, &self.count, self.sum, &self.buckets())
    }
}

/// As Prometheus prints it: `{count:3, sum:5, (1,2]:3}`.
impl fmt::Display for FloatHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_histogram(f, &FloatText(self.count), self.sum, &self.buckets())
    }
}

impl<C> Bucket<C> {
    fn write(&self, f: &mut fmt::Formatter<'_>, count: &dyn fmt::Display) -> fmt::Result {
        let open = if self.lower_inclusive { '[' } else { '(' };
        let close = if self.upper_inclusive { ']' } else { ')' };
        write!(f, "{open}{},{}{close}:{count}", FloatText(self.lower), FloatText(self.upper))
    }
}

impl fmt::Display for Bucket<u64> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, &self.count)
    }
}

impl fmt::Display for Bucket<f64> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, &FloatText(self.count))
    }
}

/// Powers `2^(i/256 - 1)` as Prometheus has them: its bounds are some units in the last place below the exact ones. Those of
/// schemas below 8 are every second, fourth, ... of them.
const BOUNDS: [f64; 256] = [
    0.5,
    0.5013556375251013,
    0.5027149505564014,
    0.5040779490592088,
    0.5054446430258502,
    0.5068150424757447,
    0.5081891574554764,
    0.509566998038869,
    0.5109485743270583,
    0.5123338964485679,
    0.5137229745593818,
    0.5151158188430205,
    0.5165124395106142,
    0.5179128468009786,
    0.5193170509806894,
    0.520725062344158,
    0.5221368912137069,
    0.5235525479396449,
    0.5249720429003435,
    0.526395386502313,
    0.5278225891802786,
    0.5292536613972564,
    0.5306886136446309,
    0.5321274564422321,
    0.5335702003384117,
    0.5350168559101208,
    0.5364674337629877,
    0.5379219445313954,
    0.5393803988785598,
    0.5408428074966075,
    0.5423091811066545,
    0.5437795304588847,
    0.5452538663326288,
    0.5467321995364429,
    0.5482145409081883,
    0.549700901315111,
    0.5511912916539204,
    0.5526857228508706,
    0.5541842058618393,
    0.5556867516724088,
    0.5571933712979462,
    0.5587040757836845,
    0.5602188762048033,
    0.5617377836665098,
    0.5632608093041209,
    0.564787964283144,
    0.5663192597993595,
    0.5678547070789026,
    0.5693943173783458,
    0.5709381019847808,
    0.572486072215902,
    0.5740382394200894,
    0.5755946149764913,
    0.5771552102951081,
    0.5787200368168754,
    0.5802891060137493,
    0.5818624293887887,
    0.5834400184762408,
    0.585021884841625,
    0.5866080400818185,
    0.5881984958251406,
    0.5897932637314379,
    0.5913923554921704,
    0.5929957828304968,
    0.5946035575013605,
    0.5962156912915756,
    0.5978321960199137,
    0.5994530835371903,
    0.6010783657263515,
    0.6027080545025619,
    0.6043421618132907,
    0.6059806996384005,
    0.6076236799902344,
    0.6092711149137041,
    0.6109230164863786,
    0.6125793968185725,
    0.6142402680534349,
    0.6159056423670379,
    0.6175755319684665,
    0.6192499490999082,
    0.620928906036742,
    0.622612415087629,
    0.6243004885946023,
    0.6259931389331581,
    0.6276903785123455,
    0.6293922197748583,
    0.6310986751971253,
    0.6328097572894031,
    0.6345254785958666,
    0.6362458516947014,
    0.637970889198196,
    0.6397006037528346,
    0.6414350080393891,
    0.6431741147730128,
    0.6449179367033329,
    0.6466664866145447,
    0.6484197773255048,
    0.6501778216898253,
    0.6519406325959679,
    0.6537082229673385,
    0.6554806057623822,
    0.6572577939746774,
    0.659039800633032,
    0.6608266388015788,
    0.6626183215798706,
    0.6644148621029772,
    0.6662162735415805,
    0.6680225691020727,
    0.6698337620266515,
    0.6716498655934177,
    0.6734708931164728,
    0.6752968579460171,
    0.6771277734684463,
    0.6789636531064505,
    0.6808045103191123,
    0.6826503586020058,
    0.6845012114872953,
    0.6863570825438342,
    0.688217985377265,
    0.690083933630119,
    0.6919549409819159,
    0.6938310211492645,
    0.6957121878859629,
    0.6975984549830999,
    0.6994898362691555,
    0.7013863456101023,
    0.7032879969095076,
    0.7051948041086352,
    0.7071067811865475,
    0.7090239421602076,
    0.7109463010845827,
    0.7128738720527471,
    0.7148066691959849,
    0.7167447066838943,
    0.718687998724491,
    0.7206365595643126,
    0.7225904034885232,
    0.7245495448210174,
    0.7265139979245261,
    0.7284837772007218,
    0.7304588970903234,
    0.7324393720732029,
    0.7344252166684908,
    0.7364164454346837,
    0.7384130729697496,
    0.7404151139112358,
    0.7424225829363761,
    0.7444354947621984,
    0.7464538641456323,
    0.7484777058836176,
    0.7505070348132126,
    0.7525418658117031,
    0.7545822137967112,
    0.7566280937263048,
    0.7586795205991071,
    0.7607365094544071,
    0.762799075372269,
    0.7648672334736434,
    0.7669409989204777,
    0.7690203869158282,
    0.7711054127039704,
    0.7731960915705107,
    0.7752924388424999,
    0.7773944698885442,
    0.7795022001189185,
    0.7816156449856788,
    0.7837348199827764,
    0.7858597406461707,
    0.7879904225539431,
    0.7901268813264122,
    0.7922691326262467,
    0.7944171921585818,
    0.7965710756711334,
    0.7987307989543135,
    0.8008963778413465,
    0.8030678282083853,
    0.805245165974627,
    0.8074284071024302,
    0.8096175675974316,
    0.8118126635086642,
    0.8140137109286738,
    0.8162207259936375,
    0.8184337248834821,
    0.820652723822003,
    0.8228777390769823,
    0.8251087869603088,
    0.8273458838280969,
    0.8295890460808079,
    0.8318382901633681,
    0.8340936325652911,
    0.8363550898207981,
    0.8386226785089391,
    0.8408964152537144,
    0.8431763167241966,
    0.8454623996346523,
    0.8477546807446661,
    0.8500531768592616,
    0.8523579048290255,
    0.8546688815502312,
    0.8569861239649629,
    0.8593096490612387,
    0.8616394738731368,
    0.8639756154809185,
    0.8663180910111553,
    0.8686669176368529,
    0.871022112577578,
    0.8733836930995842,
    0.8757516765159389,
    0.8781260801866495,
    0.8805069215187917,
    0.8828942179666361,
    0.8852879870317771,
    0.8876882462632604,
    0.890095013257712,
    0.8925083056594671,
    0.8949281411607002,
    0.8973545375015533,
    0.8997875124702672,
    0.9022270839033115,
    0.9046732696855155,
    0.9071260877501991,
    0.909585556079304,
    0.9120516927035263,
    0.9145245157024483,
    0.9170040432046711,
    0.9194902933879467,
    0.9219832844793128,
    0.9244830347552253,
    0.9269895625416926,
    0.92950288621441,
    0.9320230241988943,
    0.9345499949706191,
    0.9370838170551498,
    0.93962450902828,
    0.9421720895161669,
    0.9447265771954693,
    0.9472879907934827,
    0.9498563490882775,
    0.9524316709088368,
    0.9550139751351947,
    0.9576032806985735,
    0.9601996065815236,
    0.9628029718180622,
    0.9654133954938133,
    0.9680308967461471,
    0.9706554947643201,
    0.9732872087896164,
    0.9759260581154889,
    0.9785720620876999,
    0.9812252401044634,
    0.9838856116165875,
    0.9865531961276168,
    0.9892280131939752,
    0.9919100824251095,
    0.9945994234836328,
    0.9972960560854698,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts are those of Prometheus 3.15's `String()`.
    #[test]
    fn prints_like_prometheus() {
        let span = |offset, length| Span { offset, length };
        let mut histogram = Histogram {
            schema: 1,
            zero_threshold: 0.001,
            zero_count: 2,
            count: 12,
            sum: -1.5e-7,
            positive_spans: vec![span(-1, 2), span(2, 1)],
            positive_buckets: vec![1, -1, 3],
            negative_spans: vec![span(0, 2)],
            negative_buckets: vec![2, 2],
            ..Histogram::default()
        };
        let text = "{count:12, sum:-1.5e-07, [-1.414213562373095,-1):4, [-1,-0.7071067811865475):2, [-0.001,0.001]:2, \
                    (0.5,0.7071067811865475]:1, (2,2.82842712474619]:3}";
        assert_eq!(histogram.to_string(), text);
        histogram = Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            custom_values: vec![5.0, 1e6],
            count: 6,
            sum: f64::INFINITY,
            positive_spans: vec![span(0, 3)],
            positive_buckets: vec![1, 1, 1],
            ..Histogram::default()
        };
        assert_eq!(histogram.to_string(), "{count:6, sum:+Inf, [-Inf,5]:1, (5,1e+06]:2, (1e+06,+Inf]:3}");
        let float = FloatHistogram {
            schema: -1,
            count: 1.5,
            sum: f64::NAN,
            positive_spans: vec![span(511, 3)],
            positive_buckets: vec![0.5, 1.0, 0.25],
            ..FloatHistogram::default()
        };
        let max = "1.7976931348623157e+308";
        assert_eq!(
            float.to_string(),
            format!(
                "{{count:1.5, sum:NaN, (1.1235582092889474e+307,4.49423283715579e+307]:0.5, \
                     (4.49423283715579e+307,{max}]:1, ({max},+Inf]:0.25}}"
            )
        );
    }

    #[test]
    fn takes_any_spans() {
        let spans = vec![Span { offset: i32::MAX, length: u32::MAX }, Span { offset: i32::MIN, length: u32::MAX }];
        for schema in [-53, -4, 0, 8, 9, i32::MIN, i32::MAX] {
            let histogram = Histogram {
                schema,
                positive_spans: spans.clone(),
                negative_spans: spans.clone(),
                positive_buckets: vec![1; 3],
                negative_buckets: vec![i64::MIN; 3],
                ..Histogram::default()
            };
            assert!(histogram.to_string().ends_with('}'));
        }
    }
}
