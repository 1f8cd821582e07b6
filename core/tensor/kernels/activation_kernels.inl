// Activations of feed-forward parts, alone or with a gate; included by cpu_kernels.inl.

/// Value and slope of an activation at one point.
struct Point
{
    float value, slope;
};

inline float sigmoid(float x) { return 1.0f / (1.0f + fastExp(-x)); }

struct SiluAt
{
    static Point at(float x)
    {
        const float s = sigmoid(x), value = x * s;
        return {value, s + value * (1.0f - s)};
    }
};

/// x P(X < x) of a standard normal X. Source: Hendrycks and Gimpel 2016, "Gaussian Error Linear
/// Units"; its distribution by Abramowitz and Stegun 1964, 7.1.26 (error below 1.5e-7).
struct GeluAt
{
    static Point at(float x)
    {
        const float bell = fastExp(-0.5f * x * x);
        const float t = 1.0f / (1.0f + 0.3275911f * 0.70710678f * std::fabs(x));
        float tail = 1.061405429f;
        tail = tail * t - 1.453152027f;
        tail = tail * t + 1.421413741f;
        tail = tail * t - 0.284496736f;
        tail = (tail * t + 0.254829592f) * t * 0.5f * bell;
        const float below = x > 0 ? 1.0f - tail : tail;
        return {x * below, below + x * bell * 0.39894228f};
    }
};

/// (1 + tanh u) / 2 = sigmoid(2 u) with u = sqrt(2 / pi) (x + 0.044715 x^3).
struct GeluTanhAt
{
    static Point at(float x)
    {
        constexpr float kRoot = 0.79788456f, kCube = 0.044715f;
        const float square = x * x, s = sigmoid(2.0f * kRoot * x * (1.0f + kCube * square));
        const float value = x * s;
        return {value, s + value * (1.0f - s) * 2.0f * kRoot * (1.0f + 3.0f * kCube * square)};
    }
};

struct QuickGeluAt
{
    static Point at(float x)
    {
        const float s = sigmoid(1.702f * x), value = x * s;
        return {value, s + value * (1.0f - s) * 1.702f};
    }
};

struct ReluAt
{
    static Point at(float x) { return {x > 0 ? x : 0.0f, x > 0 ? 1.0f : 0.0f}; }
};

struct ReluSquareAt
{
    static Point at(float x)
    {
        const float above = x > 0 ? x : 0.0f;
        return {above * above, 2.0f * above};
    }
};

template<class Use> void withActivation(Activation activation, const Use& use)
{
    switch (activation) {
    case Activation::Silu:
        return use(SiluAt{});
    case Activation::Gelu:
        return use(GeluAt{});
    case Activation::GeluTanh:
        return use(GeluTanhAt{});
    case Activation::QuickGelu:
        return use(QuickGeluAt{});
    case Activation::Relu:
        return use(ReluAt{});
    case Activation::ReluSquare:
        return use(ReluSquareAt{});
    }
}

void activate(Activation activation, const float* gate, const float* up, float* h, I n)
{
    withActivation(activation, [=](auto form) {
        if (up) {
#pragma omp simd
            for (I i = 0; i < n; ++i)
                h[i] = form.at(gate[i]).value * up[i];
        } else {
#pragma omp simd
            for (I i = 0; i < n; ++i)
                h[i] = form.at(gate[i]).value;
        }
    });
}

template<class Form, bool Gated, bool WithProduct>
void activateBackwardOf(const float* dh, const float* gate, const float* up, float* dGate, float* dUp, float* h, I n)
{
#pragma omp simd
    for (I i = 0; i < n; ++i) {
        const auto point = Form::at(gate[i]);
        const float d = dh[i], u = Gated ? up[i] : 1.0f;
        if (WithProduct)
            h[i] = point.value * u;
        if (Gated)
            dUp[i] = d * point.value;
        dGate[i] = d * u * point.slope;
    }
}

void activateBackward(Activation activation, const float* dh, const float* gate, const float* up, float* dGate,
                      float* dUp, float* h, I n)
{
    withActivation(activation, [=](auto form) {
        using Form = decltype(form);
        const auto run = up ? (h ? activateBackwardOf<Form, true, true> : activateBackwardOf<Form, true, false>)
                            : (h ? activateBackwardOf<Form, false, true> : activateBackwardOf<Form, false, false>);
        run(dh, gate, up, dGate, dUp, h, n);
    });
}
