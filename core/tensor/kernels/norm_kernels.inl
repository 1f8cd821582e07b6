// Norms over rows; included by cpu_kernels.inl.

struct RowFacts
{
    float mean, inverse; ///< of the deviation
};

template<bool Centred> inline RowFacts rowFacts(const NormWeights& n, const float* x)
{
    const auto count = static_cast<float>(n.dim);
    float mean = 0, squares = 0;
    if (Centred) {
#pragma omp simd reduction(+ : mean)
        for (I i = 0; i < n.dim; ++i)
            mean += x[i];
        mean /= count;
    }
#pragma omp simd reduction(+ : squares)
    for (I i = 0; i < n.dim; ++i)
        squares += (x[i] - mean) * (x[i] - mean);
    return {mean, 1.0f / std::sqrt(squares / count + n.eps)};
}

template<bool Centred> void normOf(const NormWeights& n, const float* x, float* y, I rows)
{
    for (I r = 0; r < rows; ++r) {
        const float* xr = x + r * n.dim;
        float* yr = y + r * n.dim;
        const auto [mean, inverse] = rowFacts<Centred>(n, xr);
#pragma omp simd
        for (I i = 0; i < n.dim; ++i)
            yr[i] = (xr[i] - mean) * inverse * (n.weight[i] + n.plus);
        if (n.bias) {
#pragma omp simd
            for (I i = 0; i < n.dim; ++i)
                yr[i] += n.bias[i];
        }
    }
}

void norm(const NormWeights& n, const float* x, float* y, I rows)
{
    if (n.centred)
        normOf<true>(n, x, y, rows);
    else
        normOf<false>(n, x, y, rows);
}

/// With u = (x - mean) / deviation and g = dy (weight + plus): dx = (g - mean(g) - u mean(g u)) /
/// deviation, where mean(g) is left out unless the norm centres. The sums over a row come first, so
/// that dx may take the place of dy or x.
template<bool Centred>
void normBackwardOf(const NormWeights& n, const float* dy, const float* x, float* dx, float* dw, float* db, I rows)
{
    const auto count = static_cast<float>(n.dim);
    for (I r = 0; r < rows; ++r) {
        const float *dyr = dy + r * n.dim, *xr = x + r * n.dim;
        float* dxr = dx + r * n.dim;
        const auto [mean, inverse] = rowFacts<Centred>(n, xr);
        float along = 0, level = 0;
#pragma omp simd reduction(+ : along, level)
        for (I i = 0; i < n.dim; ++i) {
            const float g = dyr[i] * (n.weight[i] + n.plus);
            along += g * (xr[i] - mean);
            if (Centred)
                level += g;
        }
        if (dw) {
#pragma omp simd
            for (I i = 0; i < n.dim; ++i)
                dw[i] += dyr[i] * (xr[i] - mean) * inverse;
        }
        if (db) {
#pragma omp simd
            for (I i = 0; i < n.dim; ++i)
                db[i] += dyr[i];
        }
        const float pull = along * inverse * inverse / count, shift = level / count;
#pragma omp simd
        for (I i = 0; i < n.dim; ++i)
            dxr[i] = (dyr[i] * (n.weight[i] + n.plus) - shift - (xr[i] - mean) * pull) * inverse;
    }
}

void normBackward(const NormWeights& n, const float* dy, const float* x, float* dx, float* dw, float* db, I rows)
{
    if (n.centred)
        normBackwardOf<true>(n, dy, x, dx, dw, db, rows);
    else
        normBackwardOf<false>(n, dy, x, dx, dw, db, rows);
}
