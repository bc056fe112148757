// SPDX-License-Identifier: Apache-2.0
// Copyright the Holdfast project authors

/// Waiting times that grow by a factor up to a cap, each multiplied by a random factor.
package struct Backoff: Sendable, Equatable {
    package var base: Duration
    package var factor: Double
    package var cap: Duration
    package var jitter: ClosedRange<Double>

    package init(base: Duration, factor: Double, cap: Duration, jitter: ClosedRange<Double> = 1...1) {
        self.base = base
        self.factor = factor
        self.cap = cap
        self.jitter = jitter
    }

    /// For transient database errors: 100 ms, doubling, at most 2 s, each times 0.5 to 1.5. However long a failover took, work
    /// goes on within 3 s of its end.
    package static let database = Backoff(base: .milliseconds(100), factor: 2, cap: .seconds(2), jitter: 0.5...1.5)

    /// The wait before retry `attempt`, which counts from 0.
    package func delay(attempt: Int, using generator: inout some RandomNumberGenerator) -> Duration {
        // Zero times infinity is not a number, and no duration either.
        guard self.base > .zero, self.cap > .zero else { return .zero }
        // Computed in seconds as Double: 2^k overflows integers long before the cap is compared.
        let grown = max(0, self.base.inSeconds * self.factor.power(attempt))
        let capped = grown < self.cap.inSeconds ? grown : self.cap.inSeconds
        return Duration.seconds(capped * Double.random(in: self.jitter, using: &generator)).bounded
    }

    package func delay(attempt: Int) -> Duration {
        var generator = SystemRandomNumberGenerator()
        return self.delay(attempt: attempt, using: &generator)
    }
}

extension Duration {
    /// The longest wait: timers end the process when they are asked for a moment far beyond it.
    package static let century: Duration = .seconds(100 * 365 * 86_400)

    /// At most a century, so that it can be slept.
    package var bounded: Duration { min(self, .century) }

    package var inSeconds: Double {
        let (seconds, attoseconds) = self.components
        return Double(seconds) + Double(attoseconds) * 1e-18
    }

    /// Whole milliseconds; durations beyond the range of the database's column are taken for its end.
    package var inMilliseconds: Int64 {
        let (seconds, attoseconds) = self.components
        let (milliseconds, overflow) = seconds.multipliedReportingOverflow(by: 1000)
        guard !overflow else { return seconds < 0 ? .min : .max }
        return milliseconds.addingClamped(attoseconds / 1_000_000_000_000_000)
    }
}

extension Int64 {
    /// The sum, or the end of the range that it would pass: a time in the far future must not stop the process.
    package func addingClamped(_ other: Int64) -> Int64 {
        let (sum, overflow) = self.addingReportingOverflow(other)
        guard overflow else { return sum }
        return other < 0 ? .min : .max
    }
}

extension Double {
    /// By repeated squaring: a factor of 1 would take as many multiplications as there were attempts.
    fileprivate func power(_ exponent: Int) -> Double {
        var result = 1.0
        var square = self
        var rest = max(0, exponent)
        while rest > 0 {
            if rest % 2 == 1 { result *= square }
            square *= square
            rest /= 2
        }
        return result
    }
}
