// Kernels over weights in 16, 8 and 4 bits for one instruction set; included by cpu_kernels.inl after
// gemm.inl.

typedef std::int32_t Ints __attribute__((vector_size(kLanes * 4)));

// Intrinsics where GCC 12 takes a conversion of a vector apart.
#if defined(__AVX512F__)
inline Ints widened(const std::int8_t* p)
{
    return reinterpret_cast<Ints>(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
inline Ints widened(const std::uint8_t* p)
{
    return reinterpret_cast<Ints>(_mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
}
#elif defined(__AVX2__)
inline Ints widened(const std::int8_t* p)
{
    return reinterpret_cast<Ints>(_mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
}
inline Ints widened(const std::uint8_t* p)
{
    return reinterpret_cast<Ints>(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))));
}
#else
template <class Byte>
Ints widened(const Byte* p)
{
    return Ints{p[0], p[1], p[2], p[3]};
}
#endif

/// Rows of codes in 8 bits.
struct Int8Rows
{
    using Code = std::int8_t;
    static constexpr I kStep = 1;      ///< vectors that are decoded together
    static constexpr I kPerByte = 1;

    static void decode(const Code* codes, float scale, Vec* out)
    {
        out[0] = __builtin_convertvector(widened(codes), Vec) * scale;
    }
};

#if defined(__AVX512F__)
inline Vec nf4Values(Ints codes)
{
    return __builtin_shuffle(loadVec(kNf4Values.data()), codes); // by the low four bits
}
constexpr Ints kFirstPairs = {0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23},
               kLastPairs = {8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
#elif defined(__AVX2__)
inline Vec nf4Values(Ints codes)
{
    return __builtin_shuffle(loadVec(kNf4Values.data()), loadVec(kNf4Values.data() + 8), codes & 15);
}
constexpr Ints kFirstPairs = {0, 8, 1, 9, 2, 10, 3, 11}, kLastPairs = {4, 12, 5, 13, 6, 14, 7, 15};
#else
inline Vec nf4Values(Ints codes)
{
    Vec out;
    for (I lane = 0; lane < kLanes; ++lane)
        out[lane] = kNf4Values[static_cast<std::size_t>(codes[lane] & 15)];
    return out;
}
constexpr Ints kFirstPairs = {0, 4, 1, 5}, kLastPairs = {2, 6, 3, 7};
#endif

/// Rows of codes in 4 bits.
struct Nf4Rows
{
    using Code = std::uint8_t;
    static constexpr I kStep = 2;
    static constexpr I kPerByte = 2;

    static void decode(const Code* codes, float scale, Vec* out)
    {
        const Ints pairs = widened(codes);
        const Vec earlier = nf4Values(pairs >> 4) * scale, later = nf4Values(pairs) * scale;
        out[0] = __builtin_shuffle(earlier, later, kFirstPairs);
        out[1] = __builtin_shuffle(earlier, later, kLastPairs);
    }
};

template<class Half> void decodeHalves(const Half* values, float* w, I count)
{
    I i = 0;
    for (; i + kLanes <= count; i += kLanes)
        storeVec(w + i, loadVec(values + i));
    for (; i < count; ++i)
        w[i] = widened(values[i]);
}

template<class Half>
void fewRowsHalves(const float* x, const Half* w, float* y, I m, I n, I k, I yStride)
{
    fewRowsApart(x, w, y, m, n, k, k, yStride);
}

void decodeInt8(const std::int8_t* codes, const float* scales, float* w, I rows, I k)
{
    for (I r = 0; r < rows; ++r) {
        for (I p = 0; p < k; p += kCodeBlock) {
            const float scale = *scales++;
            const I end = std::min(k, p + kCodeBlock);
#pragma omp simd
            for (I q = p; q < end; ++q)
                w[r * k + q] = static_cast<float>(codes[r * k + q]) * scale;
        }
    }
}

void decodeNf4(const std::uint8_t* codes, const float* scales, float* w, I blocks)
{
    for (I b = 0; b < blocks; ++b) {
        for (I p = b * kCodeBlock; p < (b + 1) * kCodeBlock; p += 2 * kLanes) {
            Vec pair[2];
            Nf4Rows::decode(codes + p / 2, scales[b], pair);
            storeVec(w + p, pair[0]);
            storeVec(w + p + kLanes, pair[1]);
        }
    }
}

/// Bytes of codes that are on their way to the second-level cache, which waits for more lines at a time than the first.
constexpr I kAhead = 8192;

/// Adds the products of Rows rows x and a stretch of one block of Wide coded rows.
template <class Kind, int Rows, int Wide>
__attribute__((always_inline)) inline void addBlock(const float* x, I k, const typename Kind::Code* const* row,
                                                    const float* scales, I from, I steps, Vec (&sums)[Rows][Wide])
{
#pragma GCC unroll 4
    for (I step = 0; step < steps; ++step) {
        const I p = from + step * Kind::kStep * kLanes;
        Vec right[Wide][Kind::kStep];
        for (int c = 0; c < Wide; ++c)
            Kind::decode(row[c] + p / Kind::kPerByte, scales[c], right[c]);
        for (int v = 0; v < Kind::kStep; ++v) {
            for (int r = 0; r < Rows; ++r) {
                const Vec left = loadVec(x + r * k + p + v * kLanes);
                for (int c = 0; c < Wide; ++c)
                    sums[r][c] += left * right[c][v];
            }
        }
    }
}

/// As fewRowsOf() in gemm.inl, in the same order of sums.
template <class Kind, int Rows, int Wide>
void codedRowsOf(const float* x, const typename Kind::Code* codes, const float* scales, float* y, I n, I k, I yStride)
{
    constexpr I step = Kind::kStep * kLanes, whole = kCodeBlock / step;
    const I blocks = (k + kCodeBlock - 1) / kCodeBlock, rowBytes = k / Kind::kPerByte;
    for (I j = 0; j < n; j += Wide) {
        const int some = static_cast<int>(std::min<I>(Wide, n - j));
        const typename Kind::Code* row[Wide];
        const float* scale[Wide];
        for (int c = 0; c < Wide; ++c) {
            row[c] = codes + (j + std::min(c, some - 1)) * rowBytes;
            scale[c] = scales + (j + std::min(c, some - 1)) * blocks;
        }
        Vec sums[Rows][Wide];
        for (int r = 0; r < Rows; ++r) {
            for (int c = 0; c < Wide; ++c)
                sums[r][c] = Vec{};
        }
        float own[Wide];
        for (I b = 0; b < k / kCodeBlock; ++b) {
            for (int c = 0; c < Wide; ++c) {
                own[c] = scale[c][b];
                // Rows are short, so the processor does not see in time that the next ones follow.
                __builtin_prefetch(row[c] + b * (kCodeBlock / Kind::kPerByte) + kAhead, 0, 2);
            }
            addBlock<Kind, Rows, Wide>(x, k, row, own, b * kCodeBlock, whole, sums);
        }
        const I last = k / kCodeBlock * kCodeBlock, p = last + (k - last) / step * step;
        if (p > last) {
            for (int c = 0; c < Wide; ++c)
                own[c] = scale[c][blocks - 1];
            addBlock<Kind, Rows, Wide>(x, k, row, own, last, (k - last) / step, sums);
        }
        for (int r = 0; r < Rows; ++r) {
            for (int c = 0; c < some; ++c) {
                float sum = sumOfLanes(sums[r][c]);
                if constexpr (Kind::kPerByte == 1) {
                    if (p < k) { // less than a vector
                        float rest[kLanes];
                        for (I q = p; q < k; ++q)
                            rest[q - p] = static_cast<float>(row[c][q]) * scale[c][blocks - 1];
                        sum = tailDot(x + r * k + p, rest, k - p, sum);
                    }
                }
                y[r * yStride + j + c] = sum;
            }
        }
    }
}

template <class Kind>
void codedRows(const float* x, const typename Kind::Code* codes, const float* scales, float* y, I m, I n, I k,
               I yStride)
{
    if (m == 1)
        return codedRowsOf<Kind, 1, 4>(x, codes, scales, y, n, k, yStride);
    I r = 0;
    for (; kLanes == 16 && r + 8 <= m; r += 8)
        codedRowsOf<Kind, 8, 3>(x + r * k, codes, scales, y + r * yStride, n, k, yStride);
    for (; r + 4 <= m; r += 4)
        codedRowsOf<Kind, 4, 3>(x + r * k, codes, scales, y + r * yStride, n, k, yStride);
    for (; r + 2 <= m; r += 2)
        codedRowsOf<Kind, 2, 4>(x + r * k, codes, scales, y + r * yStride, n, k, yStride);
    if (r < m)
        codedRowsOf<Kind, 1, 4>(x + r * k, codes, scales, y + r * yStride, n, k, yStride);
}

extern const QuantisedKernels quantisedTable;
const QuantisedKernels quantisedTable = {FETTLE_KERNEL_NAME,
                                         decodeHalves<Bfloat16>,
                                         decodeHalves<Float16>,
                                         fewRowsHalves<Bfloat16>,
                                         fewRowsHalves<Float16>,
                                         decodeInt8,
                                         codedRows<Int8Rows>,
                                         decodeNf4,
                                         codedRows<Nf4Rows>};
