import csv
with open("claims.csv", "w", newline="") as f:
    w = csv.writer(f)
    w.writerow(["ClaimID", "Amount", "Status"])
    w.writerows([["C001", 45000, "Rejected"], ["C002", 12000, "Approved"]])
print("Report created")
