// Where a request came from, as the container is told: what a trusted proxy in front says, and the
// connection.
#ifndef FASTCONTAINER_EXAMPLES_PROXY_ORIGIN_H_
#define FASTCONTAINER_EXAMPLES_PROXY_ORIGIN_H_

#include <string>
#include <string_view>

namespace proxy {

// The other end of a client's connection.
struct Peer {
  std::string_view name;  // its address
  bool trusted = false;   // what it says of others is believed
};

class Origin {
 public:
  void Reset(const Peer& peer);
  // True: the field is about the origin, and not to be forwarded as it is.
  bool Take(std::string_view name, std::string_view value);
  // The fields for the container. `authority` is what the client asked for.
  void Append(std::string_view authority, std::string* wire) const;

 private:
  std::string peer_;
  bool trusted_ = false;
  std::string for_;  // lists, each element with what separates it from the next
  std::string forwarded_;
  std::string proto_;
  std::string host_;
};

}  // namespace proxy

#endif  // FASTCONTAINER_EXAMPLES_PROXY_ORIGIN_H_
