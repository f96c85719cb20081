#include "examples/fcprobe/options.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <net/if.h>

#include <algorithm>
#include <string_view>

#include "examples/fcprobe/numbers.h"

namespace fcprobe {
namespace {

// Options without a letter.
enum Long : int {
  kJson = 256,
  kMechanism,
  kPort,
  kTcpFallback,
  kNeedOpen,
  kHedge,
  kAdaptive,
  kRate,
  kSourcePorts,
  kPercentiles,
  kHistogram,
  kDscp,
};

constexpr option kLong[] = {{"ipv4", no_argument, nullptr, '4'},
                            {"ipv6", no_argument, nullptr, '6'},
                            {"alive", no_argument, nullptr, 'a'},
                            {"addr", no_argument, nullptr, 'A'},
                            {"size", required_argument, nullptr, 'b'},
                            {"count", required_argument, nullptr, 'c'},
                            {"vcount", required_argument, nullptr, 'C'},
                            {"timestamp", no_argument, nullptr, 'D'},
                            {"elapsed", no_argument, nullptr, 'e'},
                            {"file", required_argument, nullptr, 'f'},
                            {"generate", no_argument, nullptr, 'g'},
                            {"help", no_argument, nullptr, 'h'},
                            {"ttl", required_argument, nullptr, 'H'},
                            {"interval", required_argument, nullptr, 'i'},
                            {"iface", required_argument, nullptr, 'I'},
                            {"loop", no_argument, nullptr, 'l'},
                            {"dontfrag", no_argument, nullptr, 'M'},
                            {"name", no_argument, nullptr, 'n'},
                            {"tos", required_argument, nullptr, 'O'},
                            {"period", required_argument, nullptr, 'p'},
                            {"quiet", no_argument, nullptr, 'q'},
                            {"retry", required_argument, nullptr, 'r'},
                            {"stats", no_argument, nullptr, 's'},
                            {"src", required_argument, nullptr, 'S'},
                            {"timeout", required_argument, nullptr, 't'},
                            {"unreach", no_argument, nullptr, 'u'},
                            {"version", no_argument, nullptr, 'v'},
                            {"reachable", required_argument, nullptr, 'x'},
                            {"fast-reachable", required_argument, nullptr, 'X'},
                            {"json", no_argument, nullptr, kJson},
                            {"mechanism", required_argument, nullptr, kMechanism},
                            {"port", required_argument, nullptr, kPort},
                            {"tcp-fallback", required_argument, nullptr, kTcpFallback},
                            {"need-open", no_argument, nullptr, kNeedOpen},
                            {"hedge", required_argument, nullptr, kHedge},
                            {"adaptive", required_argument, nullptr, kAdaptive},
                            {"rate", required_argument, nullptr, kRate},
                            {"source-ports", required_argument, nullptr, kSourcePorts},
                            {"percentiles", no_argument, nullptr, kPercentiles},
                            {"histogram", no_argument, nullptr, kHistogram},
                            {"dscp", required_argument, nullptr, kDscp},
                            {nullptr, 0, nullptr, 0}};
constexpr char kShort[] = ":46aAb:c:C:Def:ghH:i:I:lMnO:p:qr:sS:t:uvx:X:";

// fping has these, and this program does not.
constexpr std::string_view kNotOffered = "BdmNoQRT";

std::string OptionName(int c) {
  if (c < 256) return std::string("-") + static_cast<char>(c);
  for (const option& o : kLong) {
    if (o.val == c) return std::string("--") + o.name;
  }
  return "?";
}

// One option's word, and the message if it is not what the option takes.
class Word {
 public:
  Word(int option, const char* word, std::string* message)
      : option_(option), word_(word == nullptr ? "" : word), message_(message) {}

  const char* text() const { return word_; }

  bool Refuse(const std::string& accepted) const {
    *message_ = OptionName(option_) + " \"" + word_ + "\": must be " + accepted;
    return false;
  }
  bool Number(uint32_t least, uint32_t most, uint32_t* out) const {
    const std::optional<uint32_t> value = ParseUnsigned(word_);
    if (!value || *value < least || *value > most)
      return Refuse("a number from " + std::to_string(least) + " to " + std::to_string(most));
    *out = *value;
    return true;
  }
  bool Duration(uint64_t least, uint64_t* out) const {
    const std::optional<uint64_t> value = ParseMilliseconds(word_);
    if (!value || *value < least)
      return Refuse(std::string("milliseconds, ") +
                    (least == 0 ? "0 or more" : "at least " + std::to_string(least / 1000) + " us") +
                    ", decimals allowed, for example 2.5");
    *out = *value;
    return true;
  }

 private:
  int option_;
  const char* word_;
  std::string* message_;
};

constexpr uint64_t kMicrosecond = 1000;

bool TakeMechanism(const Word& word, Options* options) {
  static constexpr struct {
    std::string_view name;
    uint32_t value;
  } kNames[] = {{"icmp", FC_PROBE_NONE},         {"icmp-datagram", FC_PROBE_ICMP_DATAGRAM},
                {"icmp-raw", FC_PROBE_ICMP_RAW}, {"tcp", FC_PROBE_TCP_CONNECT},
                {"syn", FC_PROBE_TCP_SYN},       {"udp", FC_PROBE_UDP}};
  for (const auto& known : kNames) {
    if (word.text() != known.name) continue;
    options->mechanism = known.value;
    return true;
  }
  return word.Refuse("icmp, icmp-datagram, icmp-raw, tcp, syn or udp");
}

bool TakeHedges(const Word& word, Options* options) {
  const std::string_view text = word.text();
  const size_t comma = text.find(',');
  const std::optional<uint64_t> first = ParseMilliseconds(text.substr(0, comma));
  std::optional<uint64_t> second = 0;
  if (comma != std::string_view::npos) second = ParseMilliseconds(text.substr(comma + 1));
  const bool ordered = comma == std::string_view::npos || (second && first && *second > *first);
  if (!first || *first == 0 || !second || !ordered)
    return word.Refuse("one or two times in milliseconds after the first packet, rising, for example 3,6");
  options->hedges = {*first, *second};
  return true;
}

bool TakeSourcePorts(const Word& word, Options* options) {
  const std::string_view text = word.text();
  const size_t comma = text.find(',');
  const std::optional<uint32_t> count = ParseUnsigned(text.substr(0, comma));
  std::optional<uint32_t> first = options->first_source_port;
  if (comma != std::string_view::npos) first = ParseUnsigned(text.substr(comma + 1));
  if (!count || *count < 1 || !first || *first < 1 || *first > 65535 || *count > 65536 - *first)
    return word.Refuse("COUNT or COUNT,FIRST with all ports from 1 to 65535 (first port: 40000)");
  options->source_ports = *count;
  options->first_source_port = *first;
  return true;
}

bool TakeTos(const Word& word, Options* options) {
  uint32_t tos = 0;
  if (!word.Number(0, 255, &tos)) return false;
  if (tos % 4 != 0) return word.Refuse("a multiple of 4: the lowest two bits are ECN's (RFC 3168)");
  options->dscp = tos / 4;
  return true;
}

bool TakeSource(const Word& word, Options* options) {
  in6_addr address;
  int family = AF_UNSPEC;
  if (inet_pton(AF_INET, word.text(), &address) == 1) family = AF_INET;
  if (inet_pton(AF_INET6, word.text(), &address) == 1) family = AF_INET6;
  if (family == AF_UNSPEC) return word.Refuse("an IPv4 or IPv6 address");
  options->source = word.text();
  return true;
}

bool TakeInterface(const Word& word, Options* options) {
  if (if_nametoindex(word.text()) == 0) return word.Refuse("an interface of this machine (see ip link)");
  options->interface = word.text();
  return true;
}

bool TakeRate(const Word& word, Options* options) {
  uint32_t rate = 0;
  if (!word.Number(1, 10'000'000, &rate)) return false;
  options->interval = 1'000'000'000 / rate;
  return true;
}

bool TakeCount(int c, const Word& word, Options* options) {
  options->mode = Mode::kCount;
  options->each_rtt |= c == 'C';
  return word.Number(1, 1'000'000'000, &options->count);
}

bool TakeRetries(const Word& word, Options* options) {
  uint32_t retries = 0;
  if (!word.Number(0, 20, &retries)) return false;
  options->retries = retries;
  return true;
}

// Options with a word. False: the message is set.
bool TakeWord(int c, const Word& word, Options* options) {
  switch (c) {
    case 'b':
      return word.Number(0, 65000, &options->size);
    case 'c':
    case 'C':
      return TakeCount(c, word, options);
    case 'f':
      options->file = word.text();
      return true;
    case 'H':
      return word.Number(1, 255, &options->ttl);
    case 'i':
      return word.Duration(0, &options->interval);
    case 'I':
      return TakeInterface(word, options);
    case 'O':
      return TakeTos(word, options);
    case 'p':
      return word.Duration(10 * kMicrosecond, &options->period);
    case 'r':
      return TakeRetries(word, options);
    case 'S':
      return TakeSource(word, options);
    case 't':
      return word.Duration(10 * kMicrosecond, &options->timeout);
    case 'x':
    case 'X':
      options->stop_when_reached = c == 'X';
      return word.Number(1, UINT32_MAX, &options->least_reachable);
    case kMechanism:
      return TakeMechanism(word, options);
    case kPort:
      return word.Number(1, 65535, &options->port);
    case kTcpFallback:
      return word.Number(1, 65535, &options->fallback_port);
    case kHedge:
      return TakeHedges(word, options);
    case kAdaptive:
      return word.Duration(10 * kMicrosecond, &options->adaptive);
    case kRate:
      return TakeRate(word, options);
    case kSourcePorts:
      return TakeSourcePorts(word, options);
    default:
      return word.Number(0, 63, &options->dscp);
  }
}

// Options without one. False: it is none of these.
bool TakeFlag(int c, Options* options) {
  const struct {
    int option;
    bool* flag;
  } kFlags[] = {{'A', &options->addresses},
                {'D', &options->timestamps},
                {'e', &options->elapsed},
                {'g', &options->generate},
                {'M', &options->dont_fragment},
                {'n', &options->names},
                {'q', &options->quiet},
                {'s', &options->summary},
                {kJson, &options->json},
                {kNeedOpen, &options->need_open},
                {kPercentiles, &options->percentiles},
                {kHistogram, &options->histogram}};
  for (const auto& known : kFlags) {
    if (known.option != c) continue;
    *known.flag = true;
    return true;
  }
  return false;
}

// What can be given in one way only. False: the message is set.
bool TakeChoice(int c, Options* options, std::string* message) {
  static constexpr char kOneOf[] = "specify only one of ";
  switch (c) {
    case '4':
    case '6': {
      const int family = c == '4' ? AF_INET : AF_INET6;
      if (options->family != AF_UNSPEC && options->family != family) *message = kOneOf + std::string("4, 6");
      options->family = family;
      break;
    }
    case 'a':
    case 'u': {
      const Show show = c == 'a' ? Show::kAlive : Show::kUnreachable;
      if (options->show != Show::kAll && options->show != show) *message = kOneOf + std::string("a, u");
      options->show = show;
      break;
    }
    default:
      options->mode = Mode::kLoop;
  }
  return message->empty();
}

std::string Unknown(int option, const char* word) {
  if (option != 0 && kNotOffered.find(static_cast<char>(option)) != std::string_view::npos)
    return OptionName(option) + " is an option of fping that fcprobe does not offer";
  if (option != 0 && option < 256) return "unknown option -" + std::string(1, static_cast<char>(option));
  return "unknown option, or one that takes no value: " + std::string(word);
}

}  // namespace

bool NeedsPort(uint32_t mechanism) {
  return mechanism == FC_PROBE_TCP_CONNECT || mechanism == FC_PROBE_TCP_SYN || mechanism == FC_PROBE_UDP;
}

uint64_t FirstTimeout(const Options& options) {
  if (options.timeout != 0) return options.timeout;
  if (options.mode == Mode::kVerdict) return 500'000'000;
  return std::min<uint64_t>(options.period, 2'000'000'000);
}

Parsed ParseOptions(int argc, char** argv, Options* options, std::string* message) {
  bool loop = false, count = false, interval = false, rate = false;
  optind = 0;  // all anew: glibc's way
  for (int c = 0; (c = getopt_long(argc, argv, kShort, kLong, nullptr)) != -1;) {
    if (c == 'h') return Parsed::kHelp;
    if (c == 'v') return Parsed::kVersion;
    if (c == ':') *message = OptionName(optopt) + " needs a value";
    if (c == '?') *message = Unknown(optopt, argv[optind - 1]);
    if (!message->empty()) return Parsed::kInvalid;
    loop |= c == 'l';
    count |= c == 'c' || c == 'C';
    interval |= c == 'i';
    rate |= c == kRate;
    const bool choice = c == '4' || c == '6' || c == 'a' || c == 'u' || c == 'l';
    if (choice ? TakeChoice(c, options, message) : TakeFlag(c, options)) continue;
    if (choice || !TakeWord(c, Word(c, optarg, message), options)) return Parsed::kInvalid;
  }
  options->words.assign(argv + optind, argv + argc);
  if (loop && count) *message = "specify only one of c, l";
  if (interval && rate) *message = "specify only one of -i, --rate";
  if (message->empty()) *message = CheckTogether(*options);
  return message->empty() ? Parsed::kRun : Parsed::kInvalid;
}

}  // namespace fcprobe
