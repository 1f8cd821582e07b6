// The quantisers of Q4_K, Q5_K and Q6_K; part of ggml_kernels.inl. Each block of 256 values has
// groups of 32 (with scale and minimum) or 16 (with a signed scale). For every group a scale is
// searched that makes the weighted squared error small; eight groups are searched side by side, one
// in each lane of a vector, so that sums run in the order of the values on every machine.

namespace fettle::tensor::FETTLE_QUANT_NAMESPACE {

namespace {

typedef float Floats __attribute__((vector_size(32)));
typedef std::int32_t Ints __attribute__((vector_size(32)));
constexpr int kLanes = 8;

#define FETTLE_INLINE inline __attribute__((always_inline))

/// To the nearest whole number, ties to even; right for magnitudes below 2^22.
FETTLE_INLINE std::int32_t nearest(float value)
{
    return (std::bit_cast<std::int32_t>(value + 12582912.0f) & 0x7fffff) - 0x400000;
}

/// The same in every lane, kept within [low, high].
FETTLE_INLINE void nearestWithin(Floats& value, float low, float high)
{
    const Ints whole = (std::bit_cast<Ints>(value + 12582912.0f) & 0x7fffff) - 0x400000;
    value = __builtin_convertvector(whole, Floats);
    value = value < low ? Floats{} + low : value;
    value = value > high ? Floats{} + high : value;
}

/// Size values of each of eight groups: x[i] holds value i of all groups.
template<int Size> struct Groups
{
    Floats x[Size];

    explicit Groups(const float* values)
    {
        for (int i = 0; i < Size; ++i) {
            for (int g = 0; g < kLanes; ++g)
                x[i][g] = values[Size * g + i];
        }
    }
};

/// What a search found for eight groups, and how the values were rounded then.
struct Found
{
    Floats scale, min, step, from; ///< value ~ scale q - min; q = nearest(step (value - from))
};

/// Weighted sums over the values of a group.
struct Sums
{
    Floats weight{}, x{}, q{}, qq{}, xq{};
};

/// Scale and minimum (not above 0) of each group: line fits after rounding with several steps.
/// The weights are the group's root mean square plus the value's magnitude.
template<int Most> Found searchMinimum(const Groups<32>& groups, float first, int steps)
{
    const Floats* x = groups.x;
    Floats weight[32], squares{}, low = x[0], high = x[0];
    for (int i = 0; i < 32; ++i) {
        squares += x[i] * x[i];
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    Floats mean = squares / 32.0f;
    for (int g = 0; g < kLanes; ++g)
        mean[g] = std::sqrt(mean[g]);
    Sums all;
    for (int i = 0; i < 32; ++i) {
        weight[i] = mean + (x[i] < 0 ? -x[i] : x[i]);
        all.weight += weight[i];
        all.x += weight[i] * x[i];
    }
    low = low > 0 ? Floats{} : low;
    const Ints flat = high == low;
    const Floats range = flat ? Floats{} + 1.0f : high - low;
    Found best{};
    best.min = best.from = low;
    best.step = static_cast<float>(Most) / range;
    best.scale = 1.0f / best.step;
    Floats least{};
    for (int i = 0; i < 32; ++i) {
        Floats q = best.step * (x[i] - low);
        nearestWithin(q, 0, Most);
        const Floats off = best.scale * q + low - x[i];
        least += weight[i] * (off * off);
    }
    for (int s = 0; s <= steps; ++s) {
        // The range that is divided follows the best minimum so far.
        const Floats from = best.min,
                     step = (first + 0.1f * static_cast<float>(s) + static_cast<float>(Most)) /
                            (flat ? range : high - from);
        Floats q[32];
        Sums sums;
        for (int i = 0; i < 32; ++i) {
            q[i] = step * (x[i] - from);
            nearestWithin(q[i], 0, Most);
            const Floats wq = weight[i] * q[i];
            sums.q += wq;
            sums.qq += wq * q[i];
            sums.xq += wq * x[i];
        }
        const Floats det = all.weight * sums.qq - sums.q * sums.q;
        Floats scale = (all.weight * sums.xq - all.x * sums.q) / det;
        Floats min = (sums.qq * all.x - sums.q * sums.xq) / det;
        const Ints above = min > 0;
        scale = above ? sums.xq / sums.qq : scale;
        min = above ? Floats{} : min;
        Floats error{};
        for (int i = 0; i < 32; ++i) {
            const Floats off = scale * q[i] + min - x[i];
            error += weight[i] * (off * off);
        }
        const Ints better = (det > 0) & (error < least) & ~flat;
        least = better ? error : least;
        best.scale = better ? scale : best.scale;
        best.min = better ? min : best.min;
        best.step = better ? step : best.step;
        best.from = better ? from : best.from;
    }
    best.scale = flat ? Floats{} : best.scale;
    best.step = flat ? Floats{} : best.step;
    best.min = -best.min;
    return best;
}

/// Scales and minima in six bits each, packed as the format wants: twelve bytes.
void putScales(const Found& found, float perScale, float perMin, Byte* out)
{
    std::memset(out, 0, 12);
    for (int j = 0; j < 8; ++j) {
        const Byte s = std::min<Byte>(63, static_cast<Byte>(nearest(perScale * found.scale[j])));
        const Byte m = std::min<Byte>(63, static_cast<Byte>(nearest(perMin * found.min[j])));
        if (j < 4) {
            out[j] = s;
            out[j + 4] = m;
        } else {
            out[j + 4] = static_cast<Byte>((s & 15) | (m & 15) << 4);
            out[j - 4] = static_cast<Byte>(out[j - 4] | s >> 4 << 6);
            out[j] = static_cast<Byte>(out[j] | m >> 4 << 6);
        }
    }
}

/// 32 values of one group as they are stored: q = nearest((x + min) / scale).
template<int Most>
void roundGroup(const float* x, float scale, float min, const Found& found, int group, Byte* q)
{
    for (int i = 0; i < 32; i += kLanes) {
        Floats v;
        std::memcpy(&v, x + i, sizeof v);
        if (scale != 0)
            v = (v + min) / scale;
        else // the stored scale is 0: any q means the same; keep what the search had
            v = found.step[group] * (v - found.from[group]);
        nearestWithin(v, 0, Most);
        for (int k = 0; k < kLanes; ++k)
            q[i + k] = static_cast<Byte>(v[k]);
    }
}

/// Q4_K (Most 15) and Q5_K (Most 31).
template<int Most> void minimumBlocks(const float* values, Byte* out, std::uint64_t blocks)
{
    constexpr int kHigh = Most == 31 ? 32 : 0;
    for (std::uint64_t b = 0; b < blocks; ++b, out += 144 + kHigh) {
        const float* x = values + 256 * b;
        const Found found =
            searchMinimum<Most>(Groups<32>(x), Most == 15 ? -1.0f : -0.5f, Most == 15 ? 20 : 15);
        float mostScale = 0, mostMin = 0;
        for (int j = 0; j < 8; ++j) {
            mostScale = std::max(mostScale, found.scale[j]);
            mostMin = std::max(mostMin, found.min[j]);
        }
        putHalf(out, mostScale / 63);
        putHalf(out + 2, mostMin / 63);
        Byte* packed = out + 4;
        putScales(found, mostScale > 0 ? 63 / mostScale : 0, mostMin > 0 ? 63 / mostMin : 0,
                  packed);
        const float d = halfToFloat(half(mostScale / 63)), dmin = halfToFloat(half(mostMin / 63));
        Byte q[256];
        for (int j = 0; j < 8; ++j) {
            const int s = j < 4 ? packed[j] & 63 : (packed[j + 4] & 15) | packed[j - 4] >> 6 << 4;
            const int m = j < 4 ? packed[j + 4] & 63 : packed[j + 4] >> 4 | packed[j] >> 6 << 4;
            roundGroup<Most>(x + 32 * j, d * static_cast<float>(s), dmin * static_cast<float>(m),
                             found, j, q + 32 * j);
        }
        Byte *high = out + 16, *low = out + 16 + kHigh;
        std::memset(high, 0, kHigh);
        for (int g = 0; g < 4; ++g) {
            for (int l = 0; l < 32; ++l) {
                const int q0 = q[64 * g + l], q1 = q[64 * g + 32 + l];
                low[32 * g + l] = static_cast<Byte>((q0 & 15) | (q1 & 15) << 4);
                if (kHigh)
                    high[l] = static_cast<Byte>(high[l] | (q0 >> 4 | q1 >> 4 << 1) << (2 * g));
            }
        }
    }
}

constexpr float kNothing = 1e-15f; ///< groups below it are zero

/// The signed scale of each of eight groups of 16; large values weigh more (by their square).
Found searchSigned(const Groups<16>& groups)
{
    const Floats* x = groups.x;
    Floats size{}, extremes{};
    for (int i = 0; i < 16; ++i) {
        const Floats mine = x[i] < 0 ? -x[i] : x[i];
        extremes = mine > size ? x[i] : extremes;
        size = mine > size ? mine : size;
    }
    const Ints empty = size < kNothing;
    const Floats divisor = empty ? Floats{} + 1.0f : extremes;
    Found best{};
    Floats gain{};
    for (int s = -10; s <= 9; ++s) { // -10 stands for the plain step, which comes first
        if (s == 0)
            continue;
        const float target = s == -10 ? 32.0f : 32.0f + 0.1f * static_cast<float>(s);
        const Floats step = -target / divisor;
        Floats xq{}, qq{};
        for (int i = 0; i < 16; ++i) {
            Floats q = step * x[i];
            nearestWithin(q, -32, 31);
            const Floats weight = x[i] * x[i];
            xq += weight * x[i] * q;
            qq += weight * q * q;
        }
        const Ints some = qq > 0;
        const Floats scale = some ? xq / (some ? qq : Floats{} + 1.0f) : Floats{};
        const Ints better = s == -10 ? ~Ints{} : some & (xq * xq > gain * qq);
        gain = better ? scale * xq : gain;
        best.scale = better ? scale : best.scale;
        best.step = better ? step : best.step;
    }
    best.scale = empty ? Floats{} : best.scale;
    best.step = empty ? Floats{} : best.step;
    best.from = empty ? Floats{} - 32.0f : Floats{}; // what an empty group stores
    return best;
}

void putSixBits(const Byte* q, Byte* out)
{
    for (int n = 0; n < 2; ++n, q += 128) {
        Byte *low = out + 64 * n, *high = out + 128 + 32 * n;
        for (int l = 0; l < 32; ++l) {
            low[l] = static_cast<Byte>((q[l] & 15) | (q[l + 64] & 15) << 4);
            low[l + 32] = static_cast<Byte>((q[l + 32] & 15) | (q[l + 96] & 15) << 4);
            high[l] = static_cast<Byte>(q[l] >> 4 | q[l + 32] >> 4 << 2 | q[l + 64] >> 4 << 4 |
                                        q[l + 96] >> 4 << 6);
        }
    }
}

/// Q6_K.
void signedBlocks(const float* values, Byte* out, std::uint64_t blocks)
{
    for (std::uint64_t b = 0; b < blocks; ++b, out += 210) {
        const float* x = values + 256 * b;
        const Found found[2] = {searchSigned(Groups<16>(x)), searchSigned(Groups<16>(x + 128))};
        float most = 0;
        for (int j = 0; j < 16; ++j) {
            const float scale = found[j / 8].scale[j % 8];
            most = std::abs(scale) > std::abs(most) ? scale : most;
        }
        std::memset(out, 0, 210);
        if (std::abs(most) < kNothing)
            continue;
        const float perScale = -128.0f / most, d = 1 / perScale;
        putHalf(out + 208, d);
        Byte q[256];
        for (int j = 0; j < 16; ++j) {
            const Found& mine = found[j / 8];
            const int lane = j % 8, stored = std::min(127, nearest(perScale * mine.scale[lane]));
            out[192 + j] = static_cast<Byte>(stored);
            const float scale = halfToFloat(half(d)) * static_cast<float>(stored);
            for (int i = 0; i < 16; i += kLanes) {
                Floats v;
                std::memcpy(&v, x + 16 * j + i, sizeof v);
                v = scale != 0 ? v / scale : mine.step[lane] * v + mine.from[lane];
                nearestWithin(v, -32, 31);
                for (int k = 0; k < kLanes; ++k)
                    q[16 * j + i + k] = static_cast<Byte>(v[k] + 32);
            }
        }
        putSixBits(q, out);
    }
}

} // namespace

} // namespace fettle::tensor::FETTLE_QUANT_NAMESPACE
