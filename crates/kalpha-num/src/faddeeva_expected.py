# Writes faddeeva_expected.in: w(z) = exp(-z²) erfc(-iz) and its derivative with 60 digits.
# python faddeeva_expected.py > faddeeva_expected.in   (mpmath 1.3.0)
from mpmath import mp, mpc, mpf, erfc, exp, sqrt, pi

mp.dps = 60
xs = [0, 1e-8, 1e-3, 0.05, 0.127, 0.2, 0.2558, 0.3, 0.3838, 0.5, 0.5117, 0.64, 0.7675, 0.9, 1, 1.3, 1.5,
      1.79, 2, 2.3, 2.7, 3, 3.33, 3.6, 4, 4.5, 5, 5.37, 5.63, 5.9, 6.14, 6.4, 7, 8, 9.3, 12, 17, 19.9, 20.1,
      26, 29, 31, 60, 300, 1e4, 1e7, -0.4, -1.1, -7.5]
ys = [1e-30, 1e-15, 1e-10, 1e-7, 1e-5, 1e-3, 0.01, 0.1, 0.2, 0.5, 0.8, 1, 1.5, 2, 3, 4, 5, 6, 6.13, 6.15, 7,
      10, 19.9, 20.1, 40, 1e3, 1e6]
print("[")
for x in xs:
    for y in ys:
        z = mpc(mpf(x), mpf(y))
        # Cancels in the lower half plane only; more digits for large arguments.
        mp.dps = 60 + int(min(abs(z) ** 2, 4e3) * 0.9)
        if abs(z) > 60:
            mp.dps = 60
            # Continued fraction of Laplace.
            f = mpc(0)
            for k in range(400, 0, -1):
                f = mpf(k) / 2 / (z - f)
            w = mpc(0, 1) / sqrt(pi) / (z - f)
        else:
            w = exp(-z * z) * erfc(mpc(0, -1) * z)
        d = -2 * z * w + mpc(0, 2) / sqrt(pi)
        mp.dps = 60
        values = ", ".join(repr(float(v)) for v in (x, y, w.real, w.imag, d.real, d.imag))
        print(f"    [{values}],")
print("]")
