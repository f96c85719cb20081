#include "examples/fcprobe/targets.h"

#include <arpa/inet.h>

#include <array>
#include <sstream>

#include "examples/fcprobe/numbers.h"

namespace fcprobe {
namespace {

// More would be a mistake rather than a wish.
constexpr uint64_t kMostGenerated = 1 << 18;

// An address as a number that can be counted up; IPv4 uses the last 4 bytes.
struct Numeric {
  int family = AF_UNSPEC;
  std::array<uint8_t, 16> bytes = {};

  int bits() const { return family == AF_INET ? 32 : 128; }
  const uint8_t* begin() const { return family == AF_INET ? &bytes[12] : bytes.data(); }
  uint8_t* begin() { return family == AF_INET ? &bytes[12] : bytes.data(); }
};

bool ParseNumeric(const std::string& word, Numeric* out) {
  out->family = word.find(':') == std::string::npos ? AF_INET : AF_INET6;
  return inet_pton(out->family, word.c_str(), out->begin()) == 1;
}

std::string Print(const Numeric& address) {
  char text[INET6_ADDRSTRLEN];
  return inet_ntop(address.family, address.begin(), text, sizeof(text));
}

void Increment(Numeric* address) {
  for (size_t i = 16; i-- > 0;) {
    if (++address->bytes[i] != 0) return;
  }
}

// From `first` to `last`, which is not before it; a large number if it is too far for that.
uint64_t Distance(const Numeric& first, const Numeric& last) {
  int64_t difference = 0;
  for (size_t i = 0; i < 16; ++i) {
    // No later digit takes more than 1 away from what the earlier ones have made.
    if (difference > static_cast<int64_t>(kMostGenerated)) return UINT64_MAX;
    difference = difference * 256 + last.bytes[i] - first.bytes[i];
  }
  return static_cast<uint64_t>(difference);
}

std::string Fill(Numeric first, const Numeric& last, std::vector<std::string>* out) {
  if (last.bytes < first.bytes)
    return "-g " + Print(first) + " " + Print(last) + ": the last address must not be before the first";
  const uint64_t distance = Distance(first, last);
  if (distance >= kMostGenerated)
    return "-g: must be at most " + std::to_string(kMostGenerated) + " addresses";
  for (uint64_t i = 0; i <= distance; ++i, Increment(&first)) out->push_back(Print(first));
  return "";
}

std::string GenerateNetwork(const std::string& word, std::vector<std::string>* out) {
  const size_t slash = word.find('/');
  Numeric first;
  if (slash == std::string::npos)
    return "-g \"" + word + "\": must be ADDRESS/BITS, or be followed by the last address";
  if (!ParseNumeric(word.substr(0, slash), &first))
    return "-g \"" + word + "\": before the / must be an IPv4 or IPv6 address";
  const std::optional<uint32_t> prefix = ParseUnsigned(std::string_view(word).substr(slash + 1));
  const uint32_t bits = static_cast<uint32_t>(first.bits());
  if (!prefix || *prefix < 1 || *prefix > bits)
    return "-g \"" + word + "\": the network's bits must be from 1 to " + std::to_string(bits);
  Numeric last = first;
  for (uint32_t bit = *prefix; bit < bits; ++bit) {
    const uint8_t mask = static_cast<uint8_t>(0x80 >> (bit % 8));
    first.begin()[bit / 8] = static_cast<uint8_t>(first.begin()[bit / 8] & ~mask);
    last.begin()[bit / 8] = static_cast<uint8_t>(last.begin()[bit / 8] | mask);
  }
  // RFC 3021: a network of two addresses has no broadcast.
  if (first.family == AF_INET && *prefix < 31) {
    Increment(&first);
    --last.bytes[15];
  }
  return Fill(first, last, out);
}

}  // namespace

std::string Generate(const std::vector<std::string>& words, std::vector<std::string>* out) {
  if (words.size() == 1) return GenerateNetwork(words[0], out);
  Numeric ends[2];
  for (size_t i = 0; i < 2; ++i) {
    if (!ParseNumeric(words[i], &ends[i])) return "-g \"" + words[i] + "\": must be an IPv4 or IPv6 address";
  }
  if (ends[0].family != ends[1].family)
    return "-g \"" + words[0] + "\" \"" + words[1] + "\": must be of the same family";
  return Fill(ends[0], ends[1], out);
}

std::vector<std::string> ReadTargets(std::istream& in) {
  std::vector<std::string> words;
  for (std::string line; std::getline(in, line);) {
    std::string word;
    if (std::istringstream(line) >> word && word[0] != '#') words.push_back(word);
  }
  return words;
}

std::string SplitTarget(const std::string& word, HostPort* out) {
  size_t colon = word.rfind(':');
  *out = {word, 0};
  if (!word.empty() && word[0] == '[') {
    const size_t close = word.find(']');
    if (close == std::string::npos) return "there is no ] to the [";
    out->host = word.substr(1, close - 1);
    if (close + 1 == word.size()) return "";
    if (word[close + 1] != ':') return "behind the ] must be a : and the port";
    colon = close + 1;
  } else {
    // Several colons: an IPv6 address.
    if (colon == std::string::npos || word.find(':') != colon) return "";
    out->host = word.substr(0, colon);
  }
  const std::optional<uint32_t> port = ParseUnsigned(std::string_view(word).substr(colon + 1));
  if (!port || *port < 1 || *port > 65535) return "the port must be a number from 1 to 65535";
  out->port = static_cast<uint16_t>(*port);
  return "";
}

}  // namespace fcprobe
