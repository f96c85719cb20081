// Who is probed: words from the command line, a file or -g, and the addresses behind them.
#ifndef FASTCONTAINER_EXAMPLES_FCPROBE_TARGETS_H_
#define FASTCONTAINER_EXAMPLES_FCPROBE_TARGETS_H_

#include <sys/socket.h>

#include <cstdint>
#include <istream>
#include <string>
#include <vector>

#include "examples/fcprobe/options.h"

namespace fcprobe {

struct Target {
  std::string word;     // as it was given
  std::string display;  // as it is printed
  std::string address;  // numeric, without the port
  uint16_t port = 0;    // 0: ICMP
  sockaddr_storage host = {};
  socklen_t length = 0;
};

struct HostPort {
  std::string host;
  uint16_t port = 0;
};

// "host", "host:80", "[::1]:80", "[::1]", "::1". Empty, or why it is none of them.
std::string SplitTarget(const std::string& word, HostPort* out);

// The addresses of ADDRESS/BITS without IPv4's network and broadcast addresses, or from FIRST to LAST.
// Empty, or what is wrong.
std::string Generate(const std::vector<std::string>& words, std::vector<std::string>* out);

// The first word of each line; empty lines and those that begin with # are skipped.
std::vector<std::string> ReadTargets(std::istream& in);

// Asks the system's resolver. Empty, or why there is no such address.
std::string Resolve(const Options& options, const std::string& word, Target* out);

}  // namespace fcprobe

#endif  // FASTCONTAINER_EXAMPLES_FCPROBE_TARGETS_H_
