// Chooses the zstd level that sends pages fastest, from what the last batches cost. Compression and the link
// work at the same time, because pipe and socket buffer what was written. So a batch takes as long as the
// slower of the two, or as long as it takes to read the pages.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace litepull {

class LevelChoice {
 public:
  // The level for the next batch; 0 means no compression. From time to time it is not the best one, to find
  // out whether another one is better now.
  [[nodiscard]] int next();

  // What one batch cost.
  struct Batch {
    int level = 0;
    std::size_t raw_bytes = 0;
    std::size_t wire_bytes = 0;
    std::uint64_t gather_us = 0;  // from the end of the last batch until the pages of this one were together
    std::uint64_t compress_us = 0;  // 0 at level 0
    std::uint64_t write_us = 0;     // until the stream had taken the batch
  };
  void sent(const Batch& batch);

 private:
  // A moving average. The first value replaces the guess that it starts with.
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

  // Guesses for levels that were not tried yet. They were measured on pages of a Rails-like database in
  // batches of 1 MiB, on one core of 2 GHz. Higher levels cost many times more and save one percent.
  std::array<Level, 5> levels_{{{0, Average{0}, Average{1}},
                                {1, Average{0.0038}, Average{0.400}},
                                {3, Average{0.0062}, Average{0.354}},
                                {6, Average{0.0140}, Average{0.347}},
                                {9, Average{0.0250}, Average{0.342}}}};
  // How much slower than the guesses this machine is with these pages.
  Average slowness_{1};
  Average squeeze_{1};
  Average gather_us_per_byte_{0};
  Average link_us_per_byte_{0.03};  // per byte on the wire; the first guess is rather too slow
  std::uint64_t batches_ = 0;
  std::size_t probed_ = 0;
};

}  // namespace litepull
