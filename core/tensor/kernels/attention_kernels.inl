// Causal attention of one document and one key/value head; included by cpu_kernels.inl after gemm.inl.

constexpr I kQueryRows = 48;  ///< queries at once; their scores stay in the second-level cache

inline I roundedUp(I n, I unit) { return (n + unit - 1) / unit * unit; }

/// Panels of one head's keys or values.
struct HeadPanels
{
    I padded;       ///< keys, filled up to whole panels
    I across;       ///< floats of [headDim][padded keys]
    I along;        ///< floats of [padded headDim][keys]
};

inline HeadPanels headPanels(const AttentionHead& t)
{
    const I padded = roundedUp(t.length, kPanel);
    return {padded, padded * t.headDim, roundedUp(t.headDim, kPanel) * t.length};
}

I attentionScratch(const AttentionHead& t)
{
    const auto panels = headPanels(t);
    const I small = 2 * roundedUp(t.headDim, kPanel) * kQueryRows;
    return 2 * panels.across + 2 * panels.along + 2 * kQueryRows * panels.padded + small;
}

/// First key that query `row` sees.
inline I firstKey(const AttentionHead& t, I row) { return t.window > 0 ? std::max<I>(0, row + 1 - t.window) : 0; }

void attention(const AttentionHead& t, float* scratch)
{
    const auto panels = headPanels(t);
    float* keys = scratch;                   // k^T: [keys / 16][headDim][16]
    float* values = keys + panels.across;    // v: [headDim / 16][keys][16]
    float* scores = values + panels.along;   // [kQueryRows][padded]
    packPanels(t.k, 1, t.kvStride, t.headDim, t.length, 1.0f, keys, t.headDim * kPanel);
    packPanels(t.v, t.kvStride, 1, t.length, t.headDim, 1.0f, values, t.length * kPanel);
    for (I head = 0; head < t.group; ++head) {
        for (I first = 0; first < t.length; first += kQueryRows) {
            const I rows = std::min(kQueryRows, t.length - first), seen = first + rows;
            const I begin = firstKey(t, first) / kPanel * kPanel; // whole panels before it are not seen
            const GemmPart score{t.q + head * t.headDim + first * t.qStride, t.qStride, 1,
                                 keys + begin * t.headDim, t.headDim * kPanel, t.headDim};
            gemm(&score, 1, rows, seen - begin, scores, panels.padded, false);
            float inverse[kQueryRows];
            for (I r = 0; r < rows; ++r) {
                float* s = scores + r * panels.padded;
                const I from = firstKey(t, first + r) - begin, to = first + r + 1 - begin;
                const float top = largest(s + from, to - from) * t.scale;
                float sum = 0;
#pragma omp simd reduction(+ : sum)
                for (I i = from; i < to; ++i) {
                    s[i] = fastExp(s[i] * t.scale - top);
                    sum += s[i];
                }
                std::fill(s, s + from, 0.0f);
                std::fill(s + to, s + seen - begin, 0.0f);
                inverse[r] = 1.0f / sum;
                t.lse[head * t.lseStride + first + r] = top + std::log(sum);
            }
            const GemmPart mix{scores, panels.padded, 1, values + begin * kPanel, t.length * kPanel, seen - begin};
            float* out = t.out + head * t.headDim + first * t.qStride;
            gemm(&mix, 1, rows, t.headDim, out, t.qStride, false);
            for (I r = 0; r < rows; ++r) {
                for (I i = 0; i < t.headDim; ++i)
                    out[r * t.qStride + i] *= inverse[r];
            }
        }
    }
}

void attentionBackward(const AttentionHead& t, const AttentionGradients& g, float* scratch)
{
    const auto panels = headPanels(t);
    float* keys = scratch;                          // k^T: [keys / 16][headDim][16]
    float* values = keys + panels.across;           // v^T
    float* keyRows = values + panels.across;        // k: [headDim / 16][keys][16]
    float* p = keyRows + 2 * panels.along;          // probabilities, then d scores
    float* dp = p + kQueryRows * panels.padded;
    float* queries = dp + kQueryRows * panels.padded; // panels of some queries
    float* grads = queries + roundedUp(t.headDim, kPanel) * kQueryRows;
    packPanels(t.k, 1, t.kvStride, t.headDim, t.length, 1.0f, keys, t.headDim * kPanel);
    packPanels(t.v, 1, t.kvStride, t.headDim, t.length, 1.0f, values, t.headDim * kPanel);
    packPanels(t.k, t.kvStride, 1, t.length, t.headDim, 1.0f, keyRows, t.length * kPanel);
    for (I row = 0; row < t.length; ++row) {
        std::fill_n(g.dk + row * t.kvStride, t.headDim, 0.0f);
        std::fill_n(g.dv + row * t.kvStride, t.headDim, 0.0f);
    }
    for (I head = 0; head < t.group; ++head) {
        for (I first = 0; first < t.length; first += kQueryRows) {
            const I rows = std::min(kQueryRows, t.length - first), seen = first + rows;
            const I begin = firstKey(t, first) / kPanel * kPanel, wide = seen - begin;
            const I at = head * t.headDim + first * t.qStride;
            const GemmPart score{t.q + at, t.qStride, 1, keys + begin * t.headDim, t.headDim * kPanel, t.headDim};
            gemm(&score, 1, rows, wide, p, panels.padded, false);
            const GemmPart back{g.dOut + at, t.qStride, 1, values + begin * t.headDim, t.headDim * kPanel, t.headDim};
            gemm(&back, 1, rows, wide, dp, panels.padded, false);
            packPanels(g.dOut + at, t.qStride, 1, rows, t.headDim, 1.0f, grads, rows * kPanel);
            packPanels(t.q + at, t.qStride, 1, rows, t.headDim, 1.0f, queries, rows * kPanel);
            for (I r = 0; r < rows; ++r) {
                float *s = p + r * panels.padded, *d = dp + r * panels.padded;
                const I from = firstKey(t, first + r) - begin, to = first + r + 1 - begin;
                const float lse = t.lse[head * t.lseStride + first + r];
                const float delta = dot(g.dOut + at + r * t.qStride, t.out + at + r * t.qStride, t.headDim);
#pragma omp simd
                for (I i = from; i < to; ++i) {
                    const float probability = fastExp(s[i] * t.scale - lse);
                    s[i] = probability;
                    d[i] = probability * (d[i] - delta) * t.scale;
                }
                std::fill(s, s + from, 0.0f);
                std::fill(d, d + from, 0.0f);
                std::fill(s + to, s + wide, 0.0f);
                std::fill(d + to, d + wide, 0.0f);
            }
            const GemmPart toQuery{dp, panels.padded, 1, keyRows + begin * kPanel, t.length * kPanel, wide};
            gemm(&toQuery, 1, rows, t.headDim, g.dq + at, t.qStride, false);
            const GemmPart toKey{dp, 1, panels.padded, queries, rows * kPanel, rows};
            gemm(&toKey, 1, wide, t.headDim, g.dk + begin * t.kvStride, t.kvStride, true);
            const GemmPart toValue{p, 1, panels.padded, grads, rows * kPanel, rows};
            gemm(&toValue, 1, wide, t.headDim, g.dv + begin * t.kvStride, t.kvStride, true);
        }
    }
}
