// One optimizer step of a run, as two functions that Python calls (see lgt/fused/__init__.py): the first
// computes gradients, the second clips them and updates the parameters.
//
// A batch is always cut into GROUPS groups of whole sequences. Each group sums its gradient in a fixed order, and the
// groups are added in a fixed order. Therefore the same config gives the same weights with any number of threads.
#if defined(__FAST_MATH__) || (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "the compiler was called with -ffast-math or -ffinite-math-only: a loss that is not finite would go unnoticed"
#endif
#include "decoder.hpp"

constexpr long GROUPS = 8;
constexpr long CHUNK_TOKENS = 160;  // activations of this many tokens stay in a core's second-level cache

// Sequence i holds tokens starts[i]..starts[i + 1]; targets[t] is the token after t where that one is scored, else -1.
// heads [sequences, H] and channels [sequences, F] say what a sequence may use (0 or 1); null if it may use everything.
struct Batch {
  const int32_t *tokens, *targets;
  const int64_t* starts;
  const uint8_t *heads, *channels;
  int64_t sequences;
};

// Call work(chunk, first sequence) for the sequences [begin, end), as many at a time as fit in a chunk.
template <typename Work>
void for_chunks(const Decoder& decoder, const Batch& batch, long begin, long end, Work work) {
  std::vector<int64_t> local;
  while (begin < end) {
    const long first = begin;
    const int64_t *starts = batch.starts, at = starts[first];
    const uint8_t *heads = batch.heads ? batch.heads + first * decoder.H : nullptr,
                  *channels = batch.channels ? batch.channels + first * decoder.F : nullptr;
    local.assign(1, 0);
    for (; begin < end && (local.size() == 1 || starts[begin + 1] - at <= CHUNK_TOKENS); begin++)
      local.push_back(starts[begin + 1] - at);
    work(Chunk{batch.tokens + at, batch.targets + at, local.data(), (long)local.size() - 1, (long)local.back(), heads,
               channels},
         first);
  }
}

struct Step {
  Decoder decoder;
  std::vector<Floats> sums{GROUPS};
  std::vector<Scratch> scratch{GROUPS};

  Step(const Shape& shape, const int64_t* order, long applications) : decoder(shape, order, applications) {}

  // Returns the sum of the losses of sequences [begin, end); adds their gradient to g.
  double chunks(const Batch& batch, long begin, long end, float scale, float* g, Scratch& b) const {
    double loss = 0;
    for_chunks(decoder, batch, begin, end,
               [&](const Chunk& chunk, long) { loss += decoder.gradients(chunk, scale, g, b); });
    return loss;
  }
};

// Write the sum over the groups of part(group) [size] to `sum`.
template <typename Part>
static void add_groups(long size, Part part, float* sum, int threads) {
  constexpr long SLICE = 8192;
  parallel(threads, (size + SLICE - 1) / SLICE, [&](long slice) {
    const long begin = slice * SLICE, end = std::min(size, begin + SLICE);
    std::copy(part(0) + begin, part(0) + end, sum + begin);
    for (long group = 1; group < GROUPS; group++) {
      const float* added = part(group);
      for (long i = begin; i < end; i++) sum[i] += added[i];
    }
  });
}

// Newton-Schulz iteration of Muon (Jordan et al. 2024). It moves x [rows, columns], rows <= columns, towards U V^T,
// where U S V^T is its singular value decomposition.
static void orthogonalise(long rows, long columns, Floats& x) {
  float squares = 0;
  for (long i = 0; i < rows * columns; i++) squares += x[i] * x[i];
  const float scale = 1.0f / std::max(std::sqrt(squares), 1e-7f);
  for (long i = 0; i < rows * columns; i++) x[i] *= scale;
  const float a = 3.4445f, b = -4.7750f, c = 2.0315f;
  const long wide = padded(rows);
  Floats xt(columns * wide, 0.0f), gram(rows * wide), update(rows * wide), next(rows * columns);
  for (int i = 0; i < 5; i++) {
    transpose(rows, columns, x.data(), columns, xt.data(), wide);
    multiply(rows, wide, columns, x.data(), columns, 1, xt.data(), wide, gram.data(), wide);
    multiply(rows, wide, rows, gram.data(), wide, 1, gram.data(), wide, update.data(), wide);
    for (long j = 0; j < rows * wide; j++) update[j] = b * gram[j] + c * update[j];
    for (long j = 0; j < rows * columns; j++) next[j] = a * x[j];
    multiply(rows, columns, rows, update.data(), wide, 1, x.data(), columns, next.data(), columns, true);
    std::swap(x, next);
  }
}

// One Muon step of the matrix p [rows, columns] with Nesterov momentum in m. It equals the step of torch.optim.Muon.
static void muon(long rows, long columns, float* p, const float* g, float* m, float rate, float decay, float momentum) {
  const bool tall = rows > columns;
  Floats direction(rows * columns), transposed;
  for (long i = 0; i < rows * columns; i++) {
    m[i] += (1.0f - momentum) * (g[i] - m[i]);
    direction[i] = g[i] + momentum * (m[i] - g[i]);
  }
  if (tall) {
    transposed.resize(rows * columns);
    transpose(rows, columns, direction.data(), columns, transposed.data(), rows);
    orthogonalise(columns, rows, transposed);
    transpose(columns, rows, transposed.data(), rows, direction.data(), columns);
  } else {
    orthogonalise(rows, columns, direction);
  }
  const float step = rate * std::sqrt(std::max(1.0f, (float)rows / (float)columns));
  for (long i = 0; i < rows * columns; i++) p[i] = p[i] * (1.0f - rate * decay) - step * direction[i];
}

static void adamw(long size, float* p, const float* g, float* m, float* v, float rate, float decay, float beta1,
                  float beta2, long step) {
  const float correction1 = 1.0f - std::pow(beta1, (float)step);
  const float correction2 = std::sqrt(1.0f - std::pow(beta2, (float)step));
  for (long i = 0; i < size; i++) {
    m[i] += (1.0f - beta1) * (g[i] - m[i]);
    v[i] = beta2 * v[i] + (1.0f - beta2) * g[i] * g[i];
    p[i] = p[i] * (1.0f - rate * decay) - rate / correction1 * m[i] / (std::sqrt(v[i]) / correction2 + 1e-8f);
  }
}

extern "C" {

// order [applications]: the layers in the order of their application.
Step* lgt_create(const Shape* shape, const int64_t* order, int64_t applications) {
  return new Step(*shape, order, applications);
}

void lgt_destroy(Step* step) { delete step; }

int64_t lgt_parameters(const Step* step) { return step->decoder.at.total; }

// For each sequence of a batch: whether every scored token has the largest logit, and the mean cross-entropy of its
// scored tokens (0 without one). The network is given as for lgt_create, the biases as for lgt_gradients.
void lgt_answers(const Shape* shape, const int64_t* order, int64_t applications, const float* parameters,
                 const Batch* batch, const float* biases, int64_t threads, uint8_t* right, float* nats) {
  Decoder decoder(*shape, order, applications);
  long longest = 0;
  for (long i = 0; i < batch->sequences; i++) longest = std::max<long>(longest, batch->starts[i + 1] - batch->starts[i]);
  decoder.prepare(parameters, {biases, longest, false}, longest, threads);
  parallel(threads, threads, [&](long part) {
    Scratch b;
    std::vector<uint8_t> each_right;
    Floats each_nats;
    for_chunks(decoder, *batch, batch->sequences * part / threads, batch->sequences * (part + 1) / threads,
               [&](const Chunk& chunk, long first) {
                 each_right.resize(chunk.n), each_nats.resize(chunk.n);
                 decoder.answers(chunk, each_right.data(), each_nats.data(), b);
                 long row = 0;
                 for (long i = 0; i < chunk.sequences; i++) {
                   const long begin = row;
                   bool all = true;
                   double sum = 0;
                   for (; row < (long)b.scored.size() && b.scored[row] < chunk.starts[i + 1]; row++)
                     all &= (bool)each_right[row], sum += each_nats[row];
                   right[first + i] = all, nats[first + i] = (float)(sum / std::max(1L, row - begin));
                 }
               });
  });
}

// Mean cross-entropy over the scored tokens of a batch and its gradient. Parameters and gradient are flat. biases
// [H, T, T], where T is the length of the longest sequence, are added to the attention scores of every layer; null if
// there are none. If dbiases [H, T, T] is not null, their gradient is written to it; that of the encoding's parameters
// is left at 0.
double lgt_gradients(Step* step, const float* parameters, float* gradient, const Batch* batch, const float* biases,
                     float* dbiases, int64_t threads) {
  const int32_t* targets = batch->targets;
  const int64_t *starts = batch->starts, sequences = batch->sequences;
  const long total = starts[sequences], size = step->decoder.at.total;
  long longest = 0, scored = 0;
  for (long i = 0; i < sequences; i++) longest = std::max<long>(longest, starts[i + 1] - starts[i]);
  for (long t = 0; t < total; t++) scored += targets[t] >= 0;
  step->decoder.prepare(parameters, {biases, longest, dbiases != nullptr}, longest, threads);
  const long table = dbiases ? step->decoder.H * longest * longest : 0;
  std::vector<long> cuts(GROUPS + 1, sequences);
  for (long group = 0, i = 0; group < GROUPS; group++) {
    while (i < sequences && starts[i] * GROUPS < group * total) i++;
    cuts[group] = i;
  }
  std::vector<double> losses(GROUPS);
  parallel(threads, GROUPS, [&](long group) {
    Floats& sum = step->sums[group];
    sum.assign(size, 0.0f), step->scratch[group].dbiases.assign(table, 0.0f);
    losses[group] = step->chunks(*batch, cuts[group], cuts[group + 1], 1.0f / (float)scored, sum.data(),
                                 step->scratch[group]);
  });
  add_groups(size, [&](long group) { return step->sums[group].data(); }, gradient, threads);
  add_groups(table, [&](long group) { return step->scratch[group].dbiases.data(); }, dbiases, threads);
  double loss = 0;
  for (double part : losses) loss += part;
  return loss / (double)scored;
}

struct Rates {
  float matrices, others, decay, clip;
  int64_t muon, step;  // whether Muon updates the layers' matrices; the number of this step, from 1
};

// Clip the gradient to the norm `clip` and take one optimizer step. m and v [parameters] are the optimizer's state.
void lgt_update(Step* step, float* parameters, float* gradient, float* m, float* v, const Rates* rates, int64_t threads) {
  const Decoder& d = step->decoder;
  const long W = d.W, F = d.F;
  double squares = 0;
  for (long i = 0; i < d.at.total; i++) squares += (double)gradient[i] * gradient[i];
  const float factor = std::min(1.0, rates->clip / (std::sqrt(squares) + 1e-6));
  if (factor < 1)
    for (long i = 0; i < d.at.total; i++) gradient[i] *= factor;

  struct Part { long at, rows, columns; };  // columns is 0 for parameters that are not a matrix of a layer
  std::vector<Part> parts;
  long end = 0;
  auto matrix = [&](long at, long rows, long columns) {
    if (at > end) parts.push_back({end, at - end, 0});
    parts.push_back({at, rows, columns});
    end = at + rows * columns;
  };
  for (const LayerOffsets& w : d.at.layers) {
    matrix(w.query, W, W), matrix(w.key, d.GW, W), matrix(w.value, d.GW, W), matrix(w.output, W, W);
    matrix(w.gate, F, W), matrix(w.up, F, W), matrix(w.down, W, F);
  }
  parts.push_back({end, d.at.total - end, 0});
  // The largest first, so that all threads finish at about the same time.
  std::stable_sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) { return a.rows * a.columns > b.rows * b.columns; });
  parallel(threads, parts.size(), [&](long i) {
    const Part& x = parts[i];
    float *p = parameters + x.at, *g = gradient + x.at;
    if (x.columns && rates->muon)
      muon(x.rows, x.columns, p, g, m + x.at, rates->matrices, rates->decay, 0.95f);
    else
      adamw(x.rows * std::max(x.columns, 1L), p, g, m + x.at, v + x.at, x.columns ? rates->matrices : rates->others,
            x.columns ? rates->decay : 0.0f, 0.9f, 0.95f, rates->step);
  });
}
}
