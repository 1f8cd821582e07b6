// Kernels over weights in 8 and 4 bits for one instruction set; included by cpu_kernels.inl after
// gemm.inl.

typedef std::int32_t Ints __attribute__((vector_size(kLanes * 4)));
typedef std::int8_t Signed __attribute__((vector_size(kLanes), aligned(1), may_alias));
typedef std::uint8_t Bytes __attribute__((vector_size(kLanes), aligned(1), may_alias));

inline Vec spread(float value) { return Vec{} + value; }

/// Rows of codes in 8 bits.
struct Int8Rows
{
    using Code = std::int8_t;
    static constexpr I kStep = 1;      ///< vectors that are decoded together
    static constexpr I kPerByte = 1;

    static void decode(const Code* codes, float scale, Vec* out)
    {
        const auto narrow = *reinterpret_cast<const Signed*>(codes);
        out[0] = __builtin_convertvector(__builtin_convertvector(narrow, Ints), Vec) * scale;
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
        const Ints pairs = __builtin_convertvector(*reinterpret_cast<const Bytes*>(codes), Ints);
        const Vec earlier = nf4Values(pairs >> 4) * scale, later = nf4Values(pairs) * scale;
        out[0] = __builtin_shuffle(earlier, later, kFirstPairs);
        out[1] = __builtin_shuffle(earlier, later, kLastPairs);
    }
};

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

/// As fewRowsOf() in gemm.inl, in the same order of sums.
template <class Kind, int Rows, int Wide>
void codedRowsOf(const float* x, const typename Kind::Code* codes, const float* scales, float* y, I n, I k, I yStride)
{
    constexpr I step = Kind::kStep * kLanes;
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
        I p = 0;
        for (I b = 0; b < blocks; ++b) {
            const I end = std::min(k, (b + 1) * kCodeBlock);
            for (; p + step <= end; p += step) {
                Vec right[Wide][Kind::kStep];
                for (int c = 0; c < Wide; ++c)
                    Kind::decode(row[c] + p / Kind::kPerByte, scale[c][b], right[c]);
                for (int v = 0; v < Kind::kStep; ++v) {
                    for (int r = 0; r < Rows; ++r) {
                        const Vec left = loadVec(x + r * k + p + v * kLanes);
                        for (int c = 0; c < Wide; ++c)
                            sums[r][c] += left * right[c][v];
                    }
                }
            }
        }
        for (int r = 0; r < Rows; ++r) {
            for (int c = 0; c < some; ++c) {
                float sum = 0;
                for (I lane = 0; lane < kLanes; ++lane)
                    sum += sums[r][c][lane];
                if constexpr (Kind::kPerByte == 1) {
                    if (p < k) { // less than a vector, so inside the last block
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
    for (; r + 2 <= m; r += 2)
        codedRowsOf<Kind, 2, 4>(x + r * k, codes, scales, y + r * yStride, n, k, yStride);
    if (r < m)
        codedRowsOf<Kind, 1, 4>(x + r * k, codes, scales, y + r * yStride, n, k, yStride);
}

extern const QuantisedKernels quantisedTable;
const QuantisedKernels quantisedTable = {FETTLE_KERNEL_NAME, decodeInt8, codedRows<Int8Rows>, decodeNf4,
                                         codedRows<Nf4Rows>};
