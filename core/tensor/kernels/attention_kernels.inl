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

I attentionScratch(const AttentionHead& t, I before)
{
    const auto panels = headPanels(t);
    const I small = 2 * roundedUp(t.headDim, kPanel) * kQueryRows;
    return 2 * panels.across + 2 * panels.along + 2 * kQueryRows * (panels.padded + roundedUp(before, kPanel)) + small;
}

/// First key that query `row` sees.
inline I firstKey(const AttentionHead& t, I row) { return t.window > 0 ? std::max<I>(0, row + 1 - t.window) : 0; }

/// q . k -> c tanh(scale q . k / c) where there is a cap. -> what the scores are still to be multiplied by.
inline float capScores(const AttentionHead& t, float* s, I n)
{
    if (t.softcap <= 0)
        return t.scale;
    const float factor = t.scale / t.softcap;
#pragma omp simd
    for (I i = 0; i < n; ++i)
        s[i] = t.softcap * fastTanh(s[i] * factor);
    return 1;
}

/// s: q . k, becomes the probabilities; d: gradient of these, becomes that of q . k.
inline void scoreGradients(const AttentionHead& t, float* s, float* d, I n, float lse, float delta)
{
    if (t.softcap > 0) {
        const float factor = t.scale / t.softcap;
#pragma omp simd
        for (I i = 0; i < n; ++i) {
            const float bent = fastTanh(s[i] * factor), probability = fastExp(t.softcap * bent - lse);
            s[i] = probability;
            d[i] = probability * (d[i] - delta) * t.scale * (1.0f - bent * bent);
        }
        return;
    }
#pragma omp simd
    for (I i = 0; i < n; ++i) {
        const float probability = fastExp(s[i] * t.scale - lse);
        s[i] = probability;
        d[i] = probability * (d[i] - delta) * t.scale;
    }
}

/// s[i] = e^(factor s[i] - top) for i in [from, to), 0 for the others of n. -> their sum.
inline float exponentials(float* s, I from, I to, I n, float factor, float top)
{
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (I i = from; i < to; ++i) {
        s[i] = fastExp(s[i] * factor - top);
        sum += s[i];
    }
    std::fill(s, s + from, 0.0f);
    std::fill(s + to, s + n, 0.0f);
    return sum;
}

void attention(const AttentionHead& t, const EarlierKeys& before, float* scratch)
{
    const auto panels = headPanels(t);
    const I lead = roundedUp(before.length, kPanel), width = lead + panels.padded;
    float* keys = scratch;                   // k^T: [keys / 16][headDim][16]
    float* values = keys + panels.across;    // v: [headDim / 16][keys][16]
    float* scores = values + panels.along;   // [kQueryRows][width]: on earlier keys, then on the own ones
    packPanels(t.k, 1, t.kvStride, t.headDim, t.length, 1.0f, keys, t.headDim * kPanel);
    packPanels(t.v, t.kvStride, 1, t.length, t.headDim, 1.0f, values, t.length * kPanel);
    for (I head = 0; head < t.group; ++head) {
        for (I first = 0; first < t.length; first += kQueryRows) {
            const I rows = std::min(kQueryRows, t.length - first), seen = first + rows;
            const I begin = firstKey(t, first) / kPanel * kPanel; // whole panels before it are not seen
            const float* q = t.q + head * t.headDim + first * t.qStride;
            const GemmPart score{q, t.qStride, 1, keys + begin * t.headDim, t.headDim * kPanel, t.headDim};
            gemm(&score, 1, rows, seen - begin, scores + lead, width, false);
            const GemmPart earlier{q, t.qStride, 1, before.keys, t.headDim * kPanel, t.headDim};
            gemm(&earlier, 1, rows, before.length, scores, width, false);
            float inverse[kQueryRows];
            for (I r = 0; r < rows; ++r) {
                float *s = scores + r * width, *own = s + lead;
                const I from = firstKey(t, first + r) - begin, to = first + r + 1 - begin;
                const I hidden = t.window > 0 ? std::max<I>(0, before.length + first + r + 1 - t.window) : 0;
                const I skip = std::min(hidden, before.length);
                const float factor = capScores(t, own + from, to - from);
                capScores(t, s + skip, before.length - skip);
                const float top = std::max(largest(own + from, to - from), largest(s + skip, before.length - skip)) * factor;
                const float sum = exponentials(own, from, to, seen - begin, factor, top)
                                  + exponentials(s, skip, before.length, before.length, factor, top);
                inverse[r] = 1.0f / sum;
                t.lse[head * t.lseStride + first + r] = top + std::log(sum);
            }
            const GemmPart mix[] = {{scores + lead, width, 1, values + begin * kPanel, t.length * kPanel, seen - begin},
                                    {scores, width, 1, before.values, before.length * kPanel, before.length}};
            float* out = t.out + head * t.headDim + first * t.outStride;
            gemm(mix, 2, rows, t.headDim, out, t.outStride, false);
            for (I r = 0; r < rows; ++r) {
                for (I i = 0; i < t.headDim; ++i)
                    out[r * t.outStride + i] *= inverse[r];
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
            const I at = head * t.headDim + first * t.qStride, atOut = head * t.headDim + first * t.outStride;
            const GemmPart score{t.q + at, t.qStride, 1, keys + begin * t.headDim, t.headDim * kPanel, t.headDim};
            gemm(&score, 1, rows, wide, p, panels.padded, false);
            const GemmPart back{g.dOut + atOut, t.outStride, 1, values + begin * t.headDim, t.headDim * kPanel, t.headDim};
            gemm(&back, 1, rows, wide, dp, panels.padded, false);
            packPanels(g.dOut + atOut, t.outStride, 1, rows, t.headDim, 1.0f, grads, rows * kPanel);
            packPanels(t.q + at, t.qStride, 1, rows, t.headDim, 1.0f, queries, rows * kPanel);
            for (I r = 0; r < rows; ++r) {
                float *s = p + r * panels.padded, *d = dp + r * panels.padded;
                const I from = firstKey(t, first + r) - begin, to = first + r + 1 - begin;
                const float lse = t.lse[head * t.lseStride + first + r];
                const float delta = dot(g.dOut + atOut + r * t.outStride, t.out + atOut + r * t.outStride, t.headDim);
                scoreGradients(t, s + from, d + from, to - from, lse, delta);
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

void decodeAttention(const float* q, const float* k, const float* v, float* out, float* scores, I group, I headDim,
                     I length, I stride, float scale, float softcap)
{
    fewRowsApart(q, k, scores, group, length, headDim, stride, length);
    for (I g = 0; g < group; ++g) {
        float* s = scores + g * length;
        if (softcap > 0) {
#pragma omp simd
            for (I t = 0; t < length; ++t)
                s[t] = softcap * fastTanh(s[t] * scale / softcap);
        }
        const float factor = softcap > 0 ? 1.0f : scale, top = largest(s, length) * factor;
        float total = 0;
#pragma omp simd reduction(+ : total)
        for (I t = 0; t < length; ++t) {
            s[t] = fastExp(s[t] * factor - top);
            total += s[t];
        }
        const float norm = 1.0f / total;
#pragma omp simd
        for (I t = 0; t < length; ++t)
            s[t] *= norm;
    }
    fewRowsAcross(scores, v, out, group, headDim, length, length, stride, headDim);
}
