// Of listeners in mode `http`, and of pools: rules, redirects, header edits, retries. See cross_check.h.
#include <algorithm>
#include <map>

#include "apps/config/cross_check.h"
#include "apps/config/nearest.h"
#include "proto/http_names.h"

namespace rejoin::config {
namespace {

constexpr std::string_view kRetryReasons[] = {"connect", "reset", "timeout", "429",
                                              "500",     "502",   "503",     "504"};

std::string numbered(std::string_view list, std::size_t index) {
  return std::string(list) + '[' + std::to_string(index) + ']';
}

/// What a rule may not touch: the frame of a message is ours to say, and so is what is about one connection.
bool is_ours_to_say(std::string_view name) {
  using proto::KnownField;
  const KnownField known = proto::known_field(name);
  return proto::traits_of(known).of_one_hop || known == KnownField::content_length ||
         known == KnownField::transfer_encoding || known == KnownField::trailer ||
         known == KnownField::expect;
}

class CrossCheckHttp {
 public:
  CrossCheckHttp(Config& config, const Places& places, std::vector<Diagnostic>& out)
      : config_(config), places_(places), out_(out) {}

  void run() {
    for (std::size_t i = 0; i < config_.listeners.size(); ++i) {
      listener(config_.listeners[i], numbered("listener", i));
    }
    for (std::size_t i = 0; i < config_.pools.size(); ++i)
      retry(config_.pools[i], numbered("pool", i) + ".retry");
  }

 private:
  void say(const std::string& path, std::string message, Severity severity = Severity::error) {
    Spot spot = places_.at(path);
    out_.push_back({config_.file, spot.place, std::move(spot.key), std::move(message), severity});
  }
  std::string where(const std::string& path) const {
    const Place place = places_.at(path).place;
    return config_.file + ':' + std::to_string(place.line) + ':' + std::to_string(place.column);
  }

  void listener(Listener& it, const std::string& path) {
    if (!places_.has(path + ".keep_alive_timeout")) it.keep_alive_timeout = it.idle_timeout;
    if (it.mode == Mode::tcp) {
      for (const char* key :
           {".max_body", ".redirect", ".redirect_port", ".forwarded", ".rule", ".error_pages"}) {
        if (places_.has(path + key))
          say(path + key,
              "is about requests, which a listener of mode \"tcp\" does not read; write mode = \"http\"");
      }
      return;
    }
    if (places_.has(path + ".redirect_port") && it.redirect == RedirectAll::off) {
      say(path + ".redirect_port", "means nothing without redirect = \"https\"", Severity::warning);
    }
    it.error_pages_stand_at.place = places_.at(path + ".error_pages").place;
    std::map<std::string, std::string> seen;
    for (std::size_t i = 0; i < it.rules.size(); ++i)
      rule(it, it.rules[i], numbered(path + ".rule", i), seen);
  }

  void rule(const Listener& on, Rule& it, const std::string& path, std::map<std::string, std::string>& seen) {
    std::string host = it.host;
    std::ranges::transform(host, host.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; });
    const std::string what = host + ' ' + it.path + (it.exact ? " exact" : "");
    const auto [first, fresh] = seen.emplace(what, path + ".path");
    if (!fresh) {
      say(places_.has(path + ".path") ? path + ".path" : path,
          "matches the same requests as the rule at " + where(first->second));
    }
    const bool has_pool = places_.has(path + ".pool");
    if (int{has_pool} + int{it.redirect.has_value()} + int{it.respond.has_value()} > 1) {
      say(path, "has more than one of `pool`, `redirect` and `respond`; write one of them");
    }
    if (!has_pool) it.pool = on.pool;
    strip(it, path);
    answers(it, path);
    const std::vector<std::string>* const lists[] = {&it.set_request_headers,    &it.add_request_headers,
                                                     &it.remove_request_headers, &it.set_response_headers,
                                                     &it.add_response_headers,   &it.remove_response_headers};
    const char* const names[] = {".set_request_headers",    ".add_request_headers",
                                 ".remove_request_headers", ".set_response_headers",
                                 ".add_response_headers",   ".remove_response_headers"};
    for (std::size_t i = 0; i < std::size(lists); ++i) header_names(*lists[i], path + names[i]);
  }

  void strip(const Rule& it, const std::string& path) {
    if (it.strip_prefix.empty()) return;
    if (!it.path.starts_with(it.strip_prefix)) {
      say(path + ".strip_prefix",
          in_quotes(it.strip_prefix) + " is not what `path`, " + in_quotes(it.path) + ", begins with");
    }
    if (it.redirect || it.respond)
      say(path + ".strip_prefix", "changes what a server sees, and this rule asks none");
  }

  void answers(const Rule& it, const std::string& path) {
    static constexpr int kRedirects[] = {301, 302, 303, 307, 308};
    if (it.redirect && std::ranges::find(kRedirects, it.redirect->status) == std::end(kRedirects)) {
      say(path + ".redirect.status",
          std::to_string(it.redirect->status) + " is no redirect; write 301, 302, 303, 307 or 308");
    }
    if (it.respond && (it.respond->status == 204 || it.respond->status == 205 || it.respond->status == 304)) {
      say(path + ".respond.status", std::to_string(it.respond->status) + " has no body; write 200");
    }
  }

  void header_names(const std::vector<std::string>& list, const std::string& path) {
    for (const std::string& entry : list) {
      const std::string_view name = std::string_view(entry).substr(0, entry.find(':'));
      if (is_ours_to_say(name)) {
        say(path, in_quotes(name) +
                      " says how a message or a connection is framed, which is the balancer's to say; leave "
                      "it out");
      }
    }
  }

  void retry(const Pool& it, const std::string& path) {
    for (const std::string& word : it.retry.on) {
      if (std::ranges::find(kRetryReasons, word) != std::end(kRetryReasons)) continue;
      const std::string_view near = nearest(word, kRetryReasons);
      std::string message = in_quotes(word) + " is nothing that can be waited out by asking another server; ";
      if (!near.empty()) {
        message += "did you mean " + in_quotes(near) + "?";
      } else {
        message += "write some of";
        for (const std::string_view reason : kRetryReasons) message += ' ' + in_quotes(reason);
      }
      say(path + ".on", std::move(message));
    }
  }

  Config& config_;
  const Places& places_;
  std::vector<Diagnostic>& out_;
};

}  // namespace

void cross_check_http(Config& config, const Places& places, std::vector<Diagnostic>& out) {
  CrossCheckHttp(config, places, out).run();
}

}  // namespace rejoin::config
