// Forward and backward pass of the decoder in lgt/model/decoder.py, for a chunk of whole sequences that fits in the
// cache. It supports rotary positions or none, and a table of biases that is added to the attention scores. It leaves out
// the heads and channels that a sequence may not use.
//
// The layers are applied in any order, also several times. Each application is a step of the passes with its own
// activations; the gradients of all applications of a layer are added.
//
// Sequences follow each other without padding. The last application computes keys and values of all rows. It computes
// the rest only for the rows whose next token is scored, because no result depends on its other rows. Letters: n rows
// (tokens) of a chunk, W width, H heads, dh = W / H, G key heads (and as many value heads), GW = G dh their width, F
// feed-forward width, V vocabulary, a the number of an application. Head h uses the keys and values of head h / (H / G).
// `rows` is the number of rows that an application computes after its keys and values.
#pragma once
#include <type_traits>
#include <utility>

#include "matrix.hpp"

struct Shape {
  int64_t layers, heads, key_value_heads, width, hidden, vocabulary, rope, qk_norm, tied;
  int64_t encoding;  // its number of parameters
  float theta, epsilon;
};

// Numbers that are added to the attention scores, [H, length, length] (query, key), or none. With `learned` the
// gradient of the table is computed, too.
struct Biases {
  const float* table = nullptr;
  long length = 0;
  bool learned = false;
};

// The offset of each parameter in the flat array, in the order of Decoder.named_parameters(). The last ones are those of
// the positional encoding. Their gradient is computed in Python, from that of the table of biases.
struct LayerOffsets {
  long norm1, query_gain, key_gain, query, key, value, output, norm2, gate, up, down;
};

struct Offsets {
  long embedding = 0, norm, unembedding, total;
  std::vector<LayerOffsets> layers;

  explicit Offsets(const Shape& s) {
    const long W = s.width, F = s.hidden, GW = s.key_value_heads * (W / s.heads);
    long at = s.vocabulary * W;
    auto take = [&](long size) { return std::exchange(at, at + size); };
    for (long l = 0; l < s.layers; l++) {
      LayerOffsets p;
      p.norm1 = take(W), p.query_gain = take(s.qk_norm ? s.heads : 0);
      p.key_gain = take(s.qk_norm ? s.key_value_heads : 0);
      p.query = take(W * W), p.key = take(GW * W), p.value = take(GW * W), p.output = take(W * W);
      p.norm2 = take(W), p.gate = take(F * W), p.up = take(F * W), p.down = take(W * F);
      layers.push_back(p);
    }
    // A tied unembedding is the embedding: the gradients of both uses are added to the same place.
    norm = take(W), unembedding = s.tied ? embedding : take(s.vocabulary * W), take(s.encoding), total = at;
  }
};

// Transposed weights, computed once per step. With them every product reads its right factor row by row.
struct TransposedWeights {
  std::vector<float> query, key_value, output, gate_up, down;  // [W, W], [W, 2GW], [W, W], [W, 2F], [F, W]
};

using Floats = std::vector<float>;

inline float* sized(Floats& buffer, long size) {
  if ((long)buffer.size() < size) buffer.resize(size);
  return buffer.data();
}

// The activations of one application of a layer that its backward pass needs.
struct SavedActivations {
  Floats x, inverse1, normed, normed_rows;      // [n, W], [n], [n, W], [rows, W]
  Floats q, kv, inverse_q, inverse_k, qr, kr;   // [rows, W], [n, 2GW], [rows, H], [n, G], [rows, W], [n, GW]
  Floats pattern, heads, y, inverse2, normed2;  // per sequence and head [rows, keys], [rows, W], ...
  Floats gate_up, inner;                        // [rows, 2F], [rows, F]
};

struct Scratch {
  std::vector<SavedActivations> saved;  // one for each application
  std::vector<long> positions, owners, all, scored;  // [n], [n]: sequences, [n]: 0..n-1, rows with a scored next
  Floats final, inverse, normed, logits, d, dx, dnormed, dinner, dgate_up, dheads, dq, dkv, dqr, dkr, dp, transposed;
  Floats dbiases;  // [H, length, length], to which each chunk adds
};

struct Chunk {
  const int32_t *tokens, *targets;  // [n]; a target is -1 where the next token is not scored
  const int64_t* starts;            // [sequences + 1], from 0
  long sequences, n;
  const uint8_t *heads, *channels;  // [sequences, H] and [sequences, F]: what each may use; null: everything

  bool uses(long sequence, long head, long H) const { return !heads || heads[sequence * H + head]; }
};

class Decoder {
 public:
  Shape s;
  Offsets at;
  std::vector<long> order;  // the layer of each application
  long W, F, H, dh, G, GW, V, Vp;

  Decoder(const Shape& shape, const int64_t* layers, long applications)
      : s(shape), at(shape), order(layers, layers + applications), W(s.width), F(s.hidden), H(s.heads), dh(W / H), G(s.key_value_heads), GW(G * dh), V(s.vocabulary), Vp(padded(V)) {
    transposed.resize(s.layers);
  }

  void prepare(const float* parameters, const Biases& added, long longest, int threads) {
    p = parameters, biases = added;
    parallel(threads, s.layers + 1, [&](long l) { l < s.layers ? transpose_layer(l) : transpose_unembedding(); });
    angles(longest);
  }

  // Sum of the cross-entropies over the scored tokens of `chunk`; adds scale * their gradient to g (flat) and, if the
  // biases are learned, to scratch.dbiases.
  double gradients(const Chunk& chunk, float scale, float* g, Scratch& scratch) const {
    forward(chunk, scratch);
    const double loss = cross_entropy(chunk, scale, scratch);
    backward(chunk, g, scratch);
    return loss;
  }

  // For each scored token of `chunk`, in order: whether its logit is the (first) largest one, and its cross-entropy.
  void answers(const Chunk& chunk, uint8_t* right, float* nats, Scratch& scratch) const {
    forward(chunk, scratch);
    const float* logits = this->logits(scratch);
    for (const long row : scratch.scored) {
      const long target = chunk.targets[row], top = std::max_element(logits, logits + V) - logits;
      float sum = 0;
      for (long i = 0; i < V; i++) sum += exponential(logits[i] - logits[top]);
      *nats = std::log(sum) + logits[top] - logits[target];
      *right++ = top == target && *nats == *nats;  // an infinite or undefined logit is no answer
      nats++, logits += Vp;
    }
  }

 private:
  const float* p = nullptr;
  Biases biases;
  std::vector<TransposedWeights> transposed;
  Floats unembedding;     // [W, Vp], columns from V on are zero
  Floats cosines, sines;  // [positions, dh / 2]

  void transpose_layer(long l) {
    const LayerOffsets& w = at.layers[l];
    TransposedWeights& t = transposed[l];
    transpose(W, W, p + w.query, W, sized(t.query, W * W), W);
    transpose(2 * GW, W, p + w.key, W, sized(t.key_value, 2 * GW * W), 2 * GW);  // value follows key in the parameters
    transpose(W, W, p + w.output, W, sized(t.output, W * W), W);
    transpose(2 * F, W, p + w.gate, W, sized(t.gate_up, 2 * F * W), 2 * F);  // up follows gate
    transpose(W, F, p + w.down, F, sized(t.down, F * W), W);
  }

  void transpose_unembedding() { transpose(V, W, p + at.unembedding, W, sized(unembedding, W * Vp), Vp); }

  void angles(long longest) {
    if (!s.rope || (long)cosines.size() >= longest * dh / 2) return;
    cosines.resize(longest * dh / 2), sines.resize(longest * dh / 2);
    for (long t = 0; t < longest; t++)
      for (long i = 0; i < dh / 2; i++) {
        const float angle = (float)t * std::pow(s.theta, -(float)(2 * i) / (float)dh);
        cosines[t * dh / 2 + i] = std::cos(angle), sines[t * dh / 2 + i] = std::sin(angle);
      }
  }

  void norm(long rows, const float* __restrict x, const float* __restrict gain, float* __restrict inverse,
            float* __restrict out) const {
    for (long r = 0; r < rows; r++, x += W, out += W) {
      float squares = 0;
      for (long i = 0; i < W; i++) squares += x[i] * x[i];
      const float scale = inverse[r] = 1.0f / std::sqrt(squares / (float)W + s.epsilon);
      for (long i = 0; i < W; i++) out[i] = x[i] * scale * gain[i];
    }
  }

  // From d, the gradient of the norm's output: adds the gradient of its input to dx and that of the gain to dgain.
  void norm_back(long rows, const float* __restrict x, const float* __restrict gain, const float* __restrict inverse,
                 const float* __restrict d, float* __restrict dx, float* __restrict dgain) const {
    for (long r = 0; r < rows; r++, x += W, d += W, dx += W) {
      const float scale = inverse[r];
      float dot = 0;
      for (long i = 0; i < W; i++) dot += d[i] * gain[i] * x[i];
      const float shift = dot * scale * scale * scale / (float)W;
      for (long i = 0; i < W; i++) {
        dgain[i] += d[i] * x[i] * scale;
        dx[i] += d[i] * gain[i] * scale - x[i] * shift;
      }
    }
  }

  // Call work with the head width as a compile-time constant, so that the compiler unrolls loops over it. Unusual head
  // widths are passed as 0.
  template <typename Work>
  void with_head_width(Work work) const {
    if (dh == 8) return work(std::integral_constant<long, 8>());
    if (dh == 16) return work(std::integral_constant<long, 16>());
    if (dh == 32) return work(std::integral_constant<long, 32>());
    return work(std::integral_constant<long, 0>());
  }

  // Normalise, rotate by the position and scale the queries or keys of `heads` heads of one row. raw and out: [heads * dh].
  template <long WIDTH>
  void scale_and_rotate(long heads, const float* __restrict raw, const float* __restrict gain, long position, float scale,
                        float* __restrict inverse, float* __restrict out) const {
    const long dh = WIDTH ? WIDTH : this->dh, half = dh / 2;
    const float *c = cosines.data() + position * half, *sn = sines.data() + position * half;
    for (long h = 0; h < heads; h++, raw += dh, out += dh) {
      float factor = scale;
      if (s.qk_norm) {
        float squares = 0;
        for (long i = 0; i < dh; i++) squares += raw[i] * raw[i];
        inverse[h] = 1.0f / std::sqrt(squares / (float)dh + s.epsilon);
        factor *= inverse[h] * gain[h];
      }
      if (!s.rope) {
        for (long i = 0; i < dh; i++) out[i] = raw[i] * factor;
        continue;
      }
      for (long i = 0; i < half; i++) {
        out[i] = (raw[i] * c[i] - raw[i + half] * sn[i]) * factor;
        out[i + half] = (raw[i + half] * c[i] + raw[i] * sn[i]) * factor;
      }
    }
  }

  // Backward pass of `scale_and_rotate`. From d, the gradient of out, it computes draw, the gradient of raw, and adds
  // to the gradient of the gains. d and draw: [heads * dh].
  template <long WIDTH>
  void scale_and_rotate_back(long heads, const float* __restrict raw, const float* __restrict gain, long position, float scale,
                             const float* __restrict inverse, const float* __restrict d, float* __restrict draw,
                             float* __restrict dgain) const {
    const long dh = WIDTH ? WIDTH : this->dh, half = dh / 2;
    const float *c = cosines.data() + position * half, *sn = sines.data() + position * half;
    for (long h = 0; h < heads; h++, raw += dh, d += dh, draw += dh) {
      if (s.rope) {
        for (long i = 0; i < half; i++) {
          draw[i] = (d[i] * c[i] + d[i + half] * sn[i]) * scale;
          draw[i + half] = (d[i + half] * c[i] - d[i] * sn[i]) * scale;
        }
      } else {
        for (long i = 0; i < dh; i++) draw[i] = d[i] * scale;
      }
      if (!s.qk_norm) continue;
      float dot = 0;
      for (long i = 0; i < dh; i++) dot += draw[i] * raw[i];
      dgain[h] += dot * inverse[h];
      const float factor = inverse[h] * gain[h], shift = dot * factor * inverse[h] * inverse[h] / (float)dh;
      for (long i = 0; i < dh; i++) draw[i] = draw[i] * factor - raw[i] * shift;
    }
  }

  // Call work(sequence, first row, rows, first key, keys, offset of the pattern) for every sequence. In the last
  // application the rows are the scored ones. `sites` has the position of each row in the chunk.
  template <typename Work>
  void per_sequence(const Chunk& chunk, const std::vector<long>& sites, Work work) const {
    long row = 0, offset = 0;
    for (long i = 0; i < chunk.sequences; i++) {
      const long first = chunk.starts[i], last = chunk.starts[i + 1], begin = row;
      while (row < (long)sites.size() && sites[row] < last) row++;
      if (row == begin) continue;
      const long keys = sites[row - 1] - first + 1;  // no row of this sequence attends to a later key
      work(i, begin, row - begin, first, keys, offset);
      offset += H * (row - begin) * padded(keys);
    }
  }

  void attend(const Chunk& chunk, const std::vector<long>& sites, SavedActivations& k, Scratch& scratch) const {
    long size = 0;
    per_sequence(chunk, sites, [&](long, long, long rows, long, long keys, long) { size += H * rows * padded(keys); });
    float* patterns = sized(k.pattern, size);
    per_sequence(chunk, sites, [&](long sequence, long row, long rows, long first, long keys, long offset) {
      const long wide = padded(keys);
      float* kt = sized(scratch.transposed, dh * wide);  // [dh, wide]
      for (long h = 0; h < H; h++) {
        if (!chunk.uses(sequence, h, H)) {
          clear_head(k.heads, row, rows, h);
          continue;
        }
        float* P = patterns + offset + h * rows * wide;
        transpose(keys, dh, k.kr.data() + first * GW + shared(h), GW, kt, wide);
        for (long i = 0; i < dh; i++) std::fill(kt + i * wide + keys, kt + (i + 1) * wide, 0.0f);
        multiply(rows, wide, dh, k.qr.data() + row * W + h * dh, W, 1, kt, wide, P, wide);
        if (biases.table) add_biases(h, first, &sites[row], rows, P, wide);
        for (long r = 0; r < rows; r++) softmax(P + r * wide, sites[row + r] - first + 1, wide);
        multiply(rows, dh, keys, P, wide, 1, k.kv.data() + first * 2 * GW + GW + shared(h), 2 * GW,
                 k.heads.data() + row * W + h * dh, W);
      }
    });
  }

  // Where the keys that head h uses begin among those of a row, and its values among the values.
  long shared(long h) const { return h / (H / G) * dh; }

  // The biases of head h for the query at position q; those for the keys 0..q are used.
  long bias_row(long h, long q) const { return (h * biases.length + q) * biases.length; }

  // Add the biases of head h to the scores of a sequence, which begins at row `first` of the chunk.
  void add_biases(long h, long first, const long* sites, long rows, float* __restrict scores, long wide) const {
    for (long r = 0; r < rows; r++, scores += wide) {
      const long q = sites[r] - first;
      const float* __restrict added = biases.table + bias_row(h, q);
      for (long j = 0; j <= q; j++) scores[j] += added[j];
    }
  }

  // From d, the gradient of these scores, add to that of the biases.
  void add_biases_back(long h, long first, const long* sites, long rows, const float* __restrict d, long wide,
                       float* dbiases) const {
    for (long r = 0; r < rows; r++, d += wide) {
      const long q = sites[r] - first;
      float* __restrict sum = dbiases + bias_row(h, q);
      for (long j = 0; j <= q; j++) sum[j] += d[j];
    }
  }

  // Set the channels of head h to zero in `rows` rows of values [.., W].
  void clear_head(Floats& values, long row, long rows, long h) const {
    for (long r = row; r < row + rows; r++) std::fill_n(values.data() + r * W + h * dh, dh, 0.0f);
  }

  // Set the feed-forward channels that the sequence of a row may not use to zero, in values [rows, F].
  void clear_channels(const Chunk& chunk, const std::vector<long>& sites, const Scratch& b, float* values) const {
    if (!chunk.channels) return;
    for (size_t r = 0; r < sites.size(); r++, values += F) {
      const uint8_t* used = chunk.channels + b.owners[sites[r]] * F;
      for (long i = 0; i < F; i++) values[i] = used[i] ? values[i] : 0.0f;
    }
  }

  // Replace the first `seen` of `wide` scores by their softmax, and the rest by zero.
  static void softmax(float* score, long seen, long wide) {
    float top = score[0], sum = 0;
    for (long j = 1; j < seen; j++) top = std::max(top, score[j]);
    for (long j = 0; j < seen; j++) sum += score[j] = exponential(score[j] - top);
    const float scale = 1.0f / sum;
    for (long j = 0; j < seen; j++) score[j] *= scale;
    std::fill(score + seen, score + wide, 0.0f);
  }

  // From dheads [rows, W]: sets dqr [rows, W], and adds to dkr [n, GW] and to the value half of dkv [n, 2GW].
  void attend_back(const Chunk& chunk, const std::vector<long>& sites, const SavedActivations& k, Scratch& b) const {
    per_sequence(chunk, sites, [&](long sequence, long row, long rows, long first, long keys, long offset) {
      const long wide = padded(keys);
      float *vt = sized(b.transposed, dh * wide), *dP = sized(b.dp, rows * wide);
      for (long h = 0; h < H; h++) {
        if (!chunk.uses(sequence, h, H)) {
          clear_head(b.dqr, row, rows, h);
          continue;
        }
        const float* P = k.pattern.data() + offset + h * rows * wide;
        const float* dO = b.dheads.data() + row * W + h * dh;
        transpose(keys, dh, k.kv.data() + first * 2 * GW + GW + shared(h), 2 * GW, vt, wide);
        for (long i = 0; i < dh; i++) std::fill(vt + i * wide + keys, vt + (i + 1) * wide, 0.0f);
        multiply(rows, wide, dh, dO, W, 1, vt, wide, dP, wide);
        for (long r = 0; r < rows; r++) {
          float dot = 0;
          for (long j = 0; j < wide; j++) dot += P[r * wide + j] * dP[r * wide + j];
          for (long j = 0; j < wide; j++) dP[r * wide + j] = P[r * wide + j] * (dP[r * wide + j] - dot);
        }
        if (biases.learned) add_biases_back(h, first, &sites[row], rows, dP, wide, b.dbiases.data());
        multiply(rows, dh, keys, dP, wide, 1, k.kr.data() + first * GW + shared(h), GW,
                 b.dqr.data() + row * W + h * dh, W);
        multiply(keys, dh, rows, dP, 1, wide, k.qr.data() + row * W + h * dh, W, b.dkr.data() + first * GW + shared(h),
                 GW, true);
        multiply(keys, dh, rows, P, 1, wide, dO, W, b.dkv.data() + first * 2 * GW + GW + shared(h), 2 * GW, true);
      }
    });
  }

  static void gather(const std::vector<long>& sites, long width, const float* from, float* to) {
    for (size_t r = 0; r < sites.size(); r++) std::copy_n(from + sites[r] * width, width, to + r * width);
  }

  static void all_rows(long n, std::vector<long>& sites) {
    sites.resize(n);
    for (long i = 0; i < n; i++) sites[i] = i;
  }

  // Find the sequence of each row of the chunk, its position there, and the rows whose next token is scored.
  static void find_rows(const Chunk& chunk, Scratch& b) {
    b.positions.resize(chunk.n), b.owners.resize(chunk.n), b.all.resize(chunk.n), b.scored.clear();
    for (long i = 0; i < chunk.sequences; i++)
      for (long t = chunk.starts[i]; t < chunk.starts[i + 1]; t++) {
        b.positions[t] = t - chunk.starts[i], b.owners[t] = i, b.all[t] = t;
        if (chunk.targets[t] >= 0) b.scored.push_back(t);
      }
  }

  const std::vector<long>& sites(long a, const Scratch& b) const { return a + 1 == applications() ? b.scored : b.all; }

  // Computes b.final, the residual stream after the last layer of the rows whose next token is scored.
  void forward(const Chunk& chunk, Scratch& b) const {
    find_rows(chunk, b);
    b.saved.resize(applications());
    float* x = sized(b.saved[0].x, chunk.n * W);
    for (long i = 0; i < chunk.n; i++) std::copy_n(p + at.embedding + chunk.tokens[i] * W, W, x + i * W);
    for (long a = 0; a < applications(); a++) {
      Floats& out = a + 1 < applications() ? b.saved[a + 1].x : b.final;
      layer_forward(a, chunk, b, sized(out, (long)sites(a, b).size() * W));
    }
  }

  void layer_forward(long a, const Chunk& chunk, Scratch& b, float* out) const {
    const LayerOffsets& w = at.layers[order[a]];
    const TransposedWeights& t = transposed[order[a]];
    const std::vector<long>& sites = this->sites(a, b);
    SavedActivations& k = b.saved[a];
    const long n = chunk.n, rows = sites.size();
    const bool every = rows == n;
    norm(n, k.x.data(), p + w.norm1, sized(k.inverse1, n), sized(k.normed, n * W));
    const float *normed = k.normed.data(), *normed_rows = normed;
    if (!every) gather(sites, W, normed, sized(k.normed_rows, rows * W)), normed_rows = k.normed_rows.data();

    multiply(rows, W, W, normed_rows, W, 1, t.query.data(), W, sized(k.q, rows * W), W);
    multiply(n, 2 * GW, W, normed, W, 1, t.key_value.data(), 2 * GW, sized(k.kv, n * 2 * GW), 2 * GW);
    sized(k.inverse_q, rows * H), sized(k.inverse_k, n * G);
    sized(k.qr, rows * W), sized(k.kr, n * GW), sized(k.heads, rows * W);
    with_head_width([&](auto width) {
      for (long r = 0; r < rows; r++)
        scale_and_rotate<width>(H, &k.q[r * W], p + w.query_gain, b.positions[sites[r]], query_scale(),
                                &k.inverse_q[r * H], &k.qr[r * W]);
      for (long i = 0; i < n; i++)
        scale_and_rotate<width>(G, &k.kv[i * 2 * GW], p + w.key_gain, b.positions[i], 1.0f, &k.inverse_k[i * G],
                                &k.kr[i * GW]);
    });
    attend(chunk, sites, k, b);

    float* y = sized(k.y, rows * W);
    every ? (void)std::copy_n(k.x.data(), n * W, y) : gather(sites, W, k.x.data(), y);
    multiply(rows, W, W, k.heads.data(), W, 1, t.output.data(), W, y, W, true);
    norm(rows, y, p + w.norm2, sized(k.inverse2, rows), sized(k.normed2, rows * W));
    float *gate_up = sized(k.gate_up, rows * 2 * F), *inner = sized(k.inner, rows * F);
    multiply(rows, 2 * F, W, k.normed2.data(), W, 1, t.gate_up.data(), 2 * F, gate_up, 2 * F);
    for (long r = 0; r < rows; r++)
      for (long i = 0; i < F; i++) {
        const float gate = gate_up[r * 2 * F + i];
        inner[r * F + i] = gate / (1.0f + exponential(-gate)) * gate_up[r * 2 * F + F + i];
      }
    clear_channels(chunk, sites, b, inner);
    std::copy_n(y, rows * W, out);
    multiply(rows, W, F, inner, F, 1, t.down.data(), W, out, W, true);
  }

  // The logits [rows, Vp] of the rows whose next token is scored, from b.final.
  float* logits(Scratch& b) const {
    const long rows = b.scored.size();
    norm(rows, b.final.data(), p + at.norm, sized(b.inverse, rows), sized(b.normed, rows * W));
    float* found = sized(b.logits, rows * Vp);
    multiply(rows, Vp, W, b.normed.data(), W, 1, unembedding.data(), Vp, found, Vp);
    return found;
  }

  // Returns the sum of the cross-entropies; writes scale * their derivative to b.logits [rows, Vp].
  double cross_entropy(const Chunk& chunk, float scale, Scratch& b) const {
    const long rows = b.scored.size();
    float* logits = this->logits(b);
    double total = 0;
    for (long r = 0; r < rows; r++, logits += Vp) {
      const long target = chunk.targets[b.scored[r]];
      const float wanted = logits[target], top = *std::max_element(logits, logits + V);
      float sum = 0;
      for (long i = 0; i < V; i++) sum += logits[i] = exponential(logits[i] - top);
      total += (double)(std::log(sum) + top - wanted);
      const float factor = scale / sum;
      for (long i = 0; i < V; i++) logits[i] *= factor;
      logits[target] -= scale;
      std::fill(logits + V, logits + Vp, 0.0f);
    }
    return total;
  }

  void backward(const Chunk& chunk, float* g, Scratch& b) const {
    const long rows = b.scored.size();
    multiply(V, W, rows, b.logits.data(), 1, Vp, b.normed.data(), W, g + at.unembedding, W, true);
    float* dnormed = sized(b.dnormed, chunk.n * W);
    multiply(rows, W, V, b.logits.data(), Vp, 1, p + at.unembedding, W, dnormed, W);
    std::fill_n(sized(b.d, chunk.n * W), rows * W, 0.0f);
    norm_back(rows, b.final.data(), p + at.norm, b.inverse.data(), dnormed, b.d.data(), g + at.norm);
    for (long a = applications() - 1; a >= 0; a--) layer_backward(a, chunk, g, b);
    for (long i = 0; i < chunk.n; i++)
      for (long j = 0; j < W; j++) g[at.embedding + chunk.tokens[i] * W + j] += b.d[i * W + j];
  }

  // Before the call b.d is the gradient of the layer's output [rows, W], after it that of the layer's input [n, W].
  void layer_backward(long a, const Chunk& chunk, float* g, Scratch& b) const {
    const LayerOffsets& w = at.layers[order[a]];
    const std::vector<long>& sites = this->sites(a, b);
    const SavedActivations& k = b.saved[a];
    const long n = chunk.n, rows = sites.size();
    feed_forward_back(chunk, sites, w, k, g, b);

    float *d = b.d.data(), *dnormed = b.dnormed.data();  // d is now the gradient of the attention's output, [rows, W]
    multiply(rows, W, W, d, W, 1, p + w.output, W, sized(b.dheads, rows * W), W);
    multiply(W, W, rows, d, 1, W, k.heads.data(), W, g + w.output, W, true);
    sized(b.dqr, rows * W), sized(b.dq, rows * W);
    std::fill_n(sized(b.dkr, n * GW), n * GW, 0.0f), std::fill_n(sized(b.dkv, n * 2 * GW), n * 2 * GW, 0.0f);
    attend_back(chunk, sites, k, b);
    with_head_width([&](auto width) {
      for (long r = 0; r < rows; r++)
        scale_and_rotate_back<width>(H, &k.q[r * W], p + w.query_gain, b.positions[sites[r]], query_scale(),
                                     &k.inverse_q[r * H], &b.dqr[r * W], &b.dq[r * W], g + w.query_gain);
      for (long i = 0; i < n; i++)
        scale_and_rotate_back<width>(G, &k.kv[i * 2 * GW], p + w.key_gain, b.positions[i], 1.0f, &k.inverse_k[i * G],
                                     &b.dkr[i * GW], &b.dkv[i * 2 * GW], g + w.key_gain);
    });

    const float* normed_rows = rows == n ? k.normed.data() : k.normed_rows.data();
    multiply(W, W, rows, b.dq.data(), 1, W, normed_rows, W, g + w.query, W, true);
    multiply(2 * GW, W, n, b.dkv.data(), 1, 2 * GW, k.normed.data(), W, g + w.key, W, true);
    multiply(n, W, 2 * GW, b.dkv.data(), 2 * GW, 1, p + w.key, W, dnormed, W);
    float* dx = sized(b.dx, n * W);
    multiply(rows, W, W, b.dq.data(), W, 1, p + w.query, W, dx, W);
    for (long r = 0; r < rows; r++)
      for (long j = 0; j < W; j++) dnormed[sites[r] * W + j] += dx[r * W + j];
    std::fill_n(dx, n * W, 0.0f);
    for (long r = 0; r < rows; r++) std::copy_n(d + r * W, W, dx + sites[r] * W);
    norm_back(n, k.x.data(), p + w.norm1, k.inverse1.data(), dnormed, dx, g + w.norm1);
    std::swap(b.d, b.dx);
  }

  // Before the call b.d [rows, W] is the gradient of the residual stream after the feed-forward, after it that of the
  // stream before the feed-forward.
  void feed_forward_back(const Chunk& chunk, const std::vector<long>& sites, const LayerOffsets& w,
                         const SavedActivations& k, float* g, Scratch& b) const {
    const long rows = sites.size();
    float *d = b.d.data(), *dnormed = b.dnormed.data();
    float *dinner = sized(b.dinner, rows * F), *dgate_up = sized(b.dgate_up, rows * 2 * F);
    multiply(rows, F, W, d, W, 1, p + w.down, F, dinner, F);
    clear_channels(chunk, sites, b, dinner);
    multiply(W, F, rows, d, 1, W, k.inner.data(), F, g + w.down, F, true);
    for (long r = 0; r < rows; r++)
      for (long i = 0; i < F; i++) {
        const float gate = k.gate_up[r * 2 * F + i], up = k.gate_up[r * 2 * F + F + i], di = dinner[r * F + i];
        const float sigmoid = 1.0f / (1.0f + exponential(-gate));
        dgate_up[r * 2 * F + i] = di * up * sigmoid * (1.0f + gate * (1.0f - sigmoid));
        dgate_up[r * 2 * F + F + i] = di * gate * sigmoid;
      }
    multiply(2 * F, W, rows, dgate_up, 1, 2 * F, k.normed2.data(), W, g + w.gate, W, true);
    multiply(rows, W, 2 * F, dgate_up, 2 * F, 1, p + w.gate, W, dnormed, W);
    norm_back(rows, k.y.data(), p + w.norm2, k.inverse2.data(), dnormed, d, g + w.norm2);
  }

  long applications() const { return order.size(); }

  float query_scale() const { return 1.0f / std::sqrt((float)dh); }
};
