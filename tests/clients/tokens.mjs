// Tokens made by jose, and ours read by it: `node tokens.mjs CLAIMS SECRET OURS` prints {"made": [...], "ours": {...}}.
import { SignJWT, exportJWK, generateKeyPair, jwtVerify } from "jose";

const [claims, secret, ours] = process.argv.slice(2);
const key = new TextEncoder().encode(secret);
const made = [];
for (const alg of ["RS256", "ES256", "EdDSA", "Ed25519"]) {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  const token = await new SignJWT(JSON.parse(claims)).setProtectedHeader({ alg, kid: alg, typ: "JWT" }).sign(privateKey);
  made.push({ alg, token, key: { ...(await exportJWK(publicKey)), kid: alg, alg, use: "sig" } });
}
const own = await new SignJWT({ ...JSON.parse(claims), iss: "laurels", aud: ["laurels", "others"] })
  .setProtectedHeader({ alg: "HS256" })
  .sign(key);
const { payload } = await jwtVerify(ours, key, { issuer: "laurels", audience: "laurels", algorithms: ["HS256"] });
console.log(JSON.stringify({ made, own, ours: payload }));
