// Which zstd level sends pages fastest, from what the last batches cost. Compressing and the link work at the
// same time, since pipe and socket buffer what was written: a batch takes as long as the slower of the two,
// or as it takes to have pages to send at all.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace litepull {

class LevelChoice {
 public:
  // For the next batch; 0 is none. From time to time another level than the best one, to see whether it still
  // is.
  [[nodiscard]] int next();

  // What one batch cost.
  struct Batch {
    int level = 0;
    std::size_t raw_bytes = 0;
    std::size_t wire_bytes = 0;
    std::uint64_t gather_us = 0;    // from the end of the last batch until this one's pages were together
    std::uint64_t compress_us = 0;  // 0 at level 0
    std::uint64_t write_us = 0;     // until the stream had taken it
  };
  void sent(const Batch& batch);

 private:
  // A moving average; the first value counts in full, in place of the guess that it began with.
  class Average {
   public:
    explicit Average(double guess) : value_(guess) {}
    void add(double value);
    void set(double value) { value_ = value; }
    double value() const { return value_; }
    bool measured() const { return any_; }

   private:
    double value_;
    bool any_ = false;
  };

  struct Level {
    int level;
    Average compress_us_per_byte;
    Average wire_ratio;
  };

  double compress_us_per_byte(const Level& level) const;
  double wire_ratio(const Level& level) const;
  double us_per_byte(const Level& level) const;
  const Level& best() const;
  const Level& next_to_probe(const Level& best);
  void learn_level(const Batch& batch);
  void learn_link(const Batch& batch);

  // Measured on pages of a Rails-like database in batches of 1 MiB, one core of 2 GHz: the guesses for levels
  // that were not tried yet. Higher levels cost many times more and save a hundredth.
  std::array<Level, 5> levels_{{{0, Average{0}, Average{1}},
                                {1, Average{0.0038}, Average{0.400}},
                                {3, Average{0.0062}, Average{0.354}},
                                {6, Average{0.0140}, Average{0.347}},
                                {9, Average{0.0250}, Average{0.342}}}};
  // How this machine and these pages compare with the guesses.
  Average slowness_{1};
  Average squeeze_{1};
  Average gather_us_per_byte_{0};
  Average link_us_per_byte_{0.03};  // of what crosses the wire; at first a guess, rather too slow
  std::uint64_t batches_ = 0;
  std::size_t probed_ = 0;
};

}  // namespace litepull
