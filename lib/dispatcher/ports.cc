#include "lib/dispatcher/ports.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace fastcontainer {
namespace {

// Asking the machine costs a system call each; a range full of foreign listeners is not searched to its end.
constexpr uint32_t kMaxAsked = 256;

}  // namespace

Ports::Ports(uint16_t first, uint16_t last, uint64_t seed, std::function<bool(uint16_t)> is_free)
    : first_(first),
      count_(last >= first ? uint32_t{last} - first + 1 : 0),
      shares_(count_ >= 64   ? 8
              : count_ >= 16 ? 4
                             : 2),
      next_(count_ == 0 ? 0 : static_cast<uint32_t>(seed % count_)),
      is_free_(std::move(is_free)) {}

bool Ports::Available(uint16_t port, const std::string& container, Nanos now) {
  const auto found = used_.find(port);
  if (found == used_.end()) return true;
  if (found->second.until == kForever) return false;
  if (found->second.until > now && found->second.container != container) return false;
  used_.erase(found);
  return true;
}

absl::StatusOr<uint16_t> Ports::Allocate(const std::string& container, Nanos now) {
  uint32_t asked = 0;
  const uint32_t rounds = incarnation_ ? 2 : 1;
  for (uint32_t tried = 0; tried < rounds * count_ && asked < kMaxAsked; ++tried) {
    const uint16_t port = static_cast<uint16_t>(first_ + next_);
    next_ = (next_ + 1) % count_;
    const bool preferred = !incarnation_ || ((port ^ *incarnation_) & (shares_ - 1)) == 0;
    if ((tried < count_ && !preferred) || !Available(port, container, now)) continue;
    ++asked;
    if (!is_free_(port)) continue;
    used_[port] = Use{container, kForever};
    return port;
  }
  return absl::ResourceExhaustedError(
      absl::StrCat("no free port among ", first_, "-", static_cast<uint32_t>(first_) + count_ - 1));
}

absl::Status Ports::Take(uint16_t port, const std::string& container, Nanos now) {
  if (!Available(port, container, now))
    return absl::ResourceExhaustedError(
        absl::StrCat("port ", port, " is held by container ", used_[port].container));
  used_[port] = Use{container, kForever};
  return absl::OkStatus();
}

void Ports::Release(uint16_t port, const std::string& container, Nanos named_until) {
  const auto found = used_.find(port);
  if (found == used_.end() || found->second.container != container) return;
  if (named_until == 0)
    used_.erase(found);
  else
    found->second.until = named_until;
}

}  // namespace fastcontainer
