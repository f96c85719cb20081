// A token bucket over injected time: the relocation budget.
#ifndef FASTCONTAINER_LIB_ROUTER_TOKEN_BUCKET_H_
#define FASTCONTAINER_LIB_ROUTER_TOKEN_BUCKET_H_

#include <algorithm>

#include "fastcontainer/clock.h"

namespace fastcontainer {

class TokenBucket {
 public:
  // `rate` tokens a second, at most `burst` at once; full at the start.
  TokenBucket(double rate, double burst) : rate_(rate), burst_(burst), tokens_(burst) {}

  void Take() { tokens_ -= 1; }
  // How long until there is one; 0 if there is.
  Nanos Until(Nanos now) {
    Fill(now);
    if (tokens_ >= 1) return 0;
    if (rate_ <= 0) return kSecond;
    return static_cast<Nanos>((1 - tokens_) / rate_ * static_cast<double>(kSecond)) + 1;
  }

 private:
  void Fill(Nanos now) {
    if (last_ >= 0)
      tokens_ =
          std::min(burst_, tokens_ + rate_ * static_cast<double>(now - last_) / static_cast<double>(kSecond));
    last_ = now;
  }

  double rate_;
  double burst_;
  double tokens_;
  Nanos last_ = -1;
};

}  // namespace fastcontainer

#endif  // FASTCONTAINER_LIB_ROUTER_TOKEN_BUCKET_H_
